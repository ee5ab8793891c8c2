import { RetryJob } from "../actions/optimizations/attempt.ts";
import { Stopping, StoreUnavailable } from "../domain/faults.ts";
import type { Queue } from "../store/optimizations/queue.ts";
import type { Logger } from "../telemetry.ts";

type Options = {
  queue: Queue;
  attempt(project: string, id: string, stopping: AbortSignal): Promise<void>;
  log: Logger;
};

/** Works on optimizations as they come; stop() gives those under way to whichever gateway comes next. */
export async function startOptimizer({ queue, attempt, log }: Options): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController();
  await queue.work(async ({ project, id }, lost) => {
    try {
      await attempt(project, id, AbortSignal.any([stopping.signal, lost]));
    } catch (error) {
      // The queue itself tells of a database that is away.
      const isForeseen = error instanceof RetryJob || error instanceof StoreUnavailable;
      if (!isForeseen)
        log.error({ optimization: id, err: error }, "an attempt failed in a way nobody foresaw");
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
