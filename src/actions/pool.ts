import { Cancelled } from "../domain/faults.ts";
import type { Violations } from "../domain/violations.ts";

export const defaultConcurrency = 16;
const maxConcurrency = 256;

export function checkConcurrency(concurrency: number, v: Violations): void {
  if (concurrency > maxConcurrency) v.addHere(`must be at most ${maxConcurrency}`, "range");
}

/**
 * Does `count` pieces of work, `concurrency` at a time, and gives each result when it is ready.
 * Starts no further piece before the consumer has taken the results so far.
 * Throws the signal's reason when the signal aborts.
 * Aborts the work in progress when the consumer stops.
 */
export async function* runPool<Result>(
  count: number,
  concurrency: number,
  signal: AbortSignal,
  work: (index: number, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Result> {
  const stopped = new AbortController();
  const end = AbortSignal.any([signal, stopped.signal]);
  const results: Result[] = [];
  const failures: unknown[] = [];
  let wake = () => {};
  let next = 0;
  let running = 0;

  async function start(index: number): Promise<void> {
    running += 1;
    await work(index, end).then(
      (result) => results.push(result),
      (error) => failures.push(error),
    );
    running -= 1;
    wake();
  }

  try {
    while (next < count || running > 0 || results.length > 0) {
      while (next < count && running < concurrency) start(next++);
      if (results.length === 0 && failures.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      if (failures.length > 0) throw failures[0];
      for (let done = results.shift(); done !== undefined; done = results.shift()) yield done;
      if (signal.aborted) throw signal.reason;
    }
  } finally {
    stopped.abort(new Cancelled());
  }
}
