import type { ChangeLog } from "../store/changes/log.ts";
import type { Logger } from "../telemetry.ts";

/** Between two marks, so that no watcher looks at more than what changes in that time to find what comes next. */
const periodMs = 10_000;
/** How long a watcher may be away, or behind. */
const keepMs = 15 * 60_000;

/** Marks the log of changes as it grows, and forgets what is old. */
export async function startPruning({
  changeLog,
  log,
}: {
  changeLog: ChangeLog;
  log: Logger;
}): Promise<{ stop(): Promise<void> }> {
  let isStopping = false;

  async function prune(): Promise<void> {
    await changeLog.mark();
    while (!isStopping && (await changeLog.forget(keepMs)) > 0);
  }

  await prune();
  let pruning = Promise.resolve();
  const timer = setInterval(() => {
    pruning = pruning
      .then(prune)
      .catch((error: unknown) =>
        log.warn({ err: error }, "the log of changes could not be pruned; trying again"),
      );
  }, periodMs);

  return {
    async stop() {
      isStopping = true;
      clearInterval(timer);
      await pruning;
    },
  };
}
