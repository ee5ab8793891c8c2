import type { ChangeLog } from "../store/changes/log.ts";
import type { Logger } from "../telemetry.ts";
import { type PeriodicJob, startPeriodicJob } from "./periodic.ts";

/**
 * Time between two marks. A watcher reads at most the changes of one period to find where its next
 * change is.
 */
const periodMs = 10_000;
/** Maximum time that a watcher may be disconnected, or behind, without losing changes. */
const keptMs = 15 * 60_000;

/** Marks the log of changes as it grows, and deletes its old entries. */
export async function startPruning({
  changeLog,
  log,
}: {
  changeLog: ChangeLog;
  log: Logger;
}): Promise<PeriodicJob> {
  let isStopping = false;

  async function prune(): Promise<void> {
    await changeLog.mark();
    while (!isStopping && (await changeLog.forget(keptMs)) > 0);
  }

  await prune();
  const job = startPeriodicJob(periodMs, prune, (error) =>
    log.warn({ err: error }, `failed to prune the log of changes; next attempt in ${periodMs / 1000} s`),
  );
  return {
    stop() {
      isStopping = true;
      return job.stop();
    },
  };
}
