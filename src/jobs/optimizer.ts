import { RetryJob } from "../actions/optimizations/attempt.ts";
import { Stopping, StoreUnavailable } from "../domain/faults.ts";
import type { Queue } from "../store/optimizations/queue.ts";
import type { Logger } from "../telemetry.ts";

type Options = {
  queue: Queue;
  attempt(project: string, id: string, stopping: AbortSignal): Promise<void>;
  log: Logger;
};

/** Attempts the optimizations of the queue; stop() hands those in progress to another gateway. */
export async function startOptimizer({ queue, attempt, log }: Options): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController();
  await queue.work(async ({ project, id }, lost) => {
    try {
      await attempt(project, id, AbortSignal.any([stopping.signal, lost]));
    } catch (error) {
      // The queue itself logs that the database is away.
      const isExpected = error instanceof RetryJob || error instanceof StoreUnavailable;
      if (!isExpected)
        log.error(
          { optimization: id, err: error },
          "an attempt at an optimization failed with an unexpected error",
        );
      throw error;
    }
  });
  return {
    async stop() {
      stopping.abort(new Stopping());
      await queue.stop();
    },
  };
}
