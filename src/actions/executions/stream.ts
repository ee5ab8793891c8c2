import type { Execution } from "../../domain/execution.ts";
import { Cancelled } from "../../domain/faults.ts";
import type { ChunkEvent } from "../../dspy/client.ts";
import { createHandoff } from "./chunk-queue.ts";
import type { Run } from "./run.ts";
import type { RunCaller, RunRequest } from "./run-request.ts";

export type StreamEvent =
  | { readonly kind: "started"; readonly execution: Execution }
  | ChunkEvent
  | { readonly kind: "done"; readonly execution: Execution };

/** Runs a program and gives what the model writes as it does, then the record of the run, however it ended. */
export function createStream({ run }: { run: Run }) {
  return async function* stream(
    project: string,
    request: RunRequest,
    caller: Omit<RunCaller, "onRecord" | "onChunk">,
  ) {
    const events = createHandoff<StreamEvent>();
    const left = new AbortController();
    const signal = AbortSignal.any([caller.signal, left.signal]);
    // A caller that has gone takes nothing more, and must not hold up the run for those who wait along.
    signal.addEventListener("abort", events.leave, { once: true });
    const result = run(project, "stream", request, {
      timeoutMs: caller.timeoutMs,
      signal,
      onRecord: (execution) => void events.push({ kind: "started", execution }),
      onChunk: events.push,
    });
    result.then(events.end, events.end);
    try {
      yield* events;
      yield { kind: "done", execution: await result } satisfies StreamEvent as StreamEvent;
    } finally {
      left.abort(new Cancelled());
    }
  };
}
