import { Overloaded } from "../../domain/faults.ts";

const retryAfterMs = 1_000;

export const requestsOverloaded = () =>
  new Overloaded(
    "the requests under way hold all memory for requests (SIGRUN_REQUEST_MEMORY); retry later, or send less at once",
    retryAfterMs,
  );

export const answersOverloaded = () =>
  new Overloaded(
    "answers that were not read hold all memory for answers (SIGRUN_ANSWER_MEMORY); read them, and retry",
    retryAfterMs,
  );

export const ownStreamsOverloaded = () =>
  new Overloaded(
    "too many streams of health and reflection are open; end those that are not needed",
    retryAfterMs,
  );
