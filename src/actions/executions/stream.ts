import type { Execution } from "../../domain/execution.ts";
import { Cancelled } from "../../domain/faults.ts";
import type { ChunkEvent } from "../../dspy/client.ts";
import { createChunkQueue } from "./chunk-queue.ts";
import type { RunProgram } from "./run.ts";
import type { RunCaller, RunRequest } from "./run-request.ts";

export type StreamEvent =
  | { readonly kind: "started"; readonly execution: Execution }
  | ChunkEvent
  | { readonly kind: "done"; readonly execution: Execution };

/** Gives chunks while the model writes them, then the record of the run, however it ended. */
export function createStream({ run }: { run: RunProgram }) {
  return async function* stream(
    project: string,
    request: RunRequest,
    caller: Pick<RunCaller, "signal" | "deadline">,
  ) {
    const events = createChunkQueue<StreamEvent>();
    const stopped = new AbortController();
    const signal = AbortSignal.any([caller.signal, stopped.signal]);
    // A caller that left takes no more chunks, and must not pause the run of the other waiters.
    signal.addEventListener("abort", events.cancel, { once: true });
    const result = run(project, "stream", request, {
      signal,
      deadline: caller.deadline,
      onRecord: (execution) => void events.push({ kind: "started", execution }),
      onChunk: events.push,
    });
    result.then(events.end, events.end);
    try {
      yield* events;
      yield { kind: "done", execution: await result } satisfies StreamEvent as StreamEvent;
    } finally {
      stopped.abort(new Cancelled());
    }
  };
}
