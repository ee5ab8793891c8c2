import type { ExecutionChangeStore } from "../store/executions/changes.ts";
import type { Logger } from "../telemetry.ts";
import { type PeriodicJob, startPeriodicJob } from "./periodic.ts";

const periodMs = 60_000;

/** Deletes executions that have ended and are older than the retention time, in small steps. */
export function startRetention({
  executions,
  retentionMs,
  log,
}: {
  executions: ExecutionChangeStore;
  retentionMs: number;
  log: Logger;
}): PeriodicJob {
  let isStopping = false;

  async function remove(): Promise<void> {
    let removed = 0;
    try {
      for (let step = -1; step !== 0 && !isStopping; removed += step)
        step = await executions.removeBefore(new Date(Date.now() - retentionMs));
    } finally {
      if (removed > 0) log.info({ executions: removed }, "deleted executions older than SIGRUN_RETENTION");
    }
  }

  const onError = (error: unknown) =>
    log.warn({ err: error }, `failed to delete old executions; next attempt in ${periodMs / 1000} s`);
  const first = remove().catch(onError);
  const job = startPeriodicJob(periodMs, () => first.then(remove), onError);
  return {
    async stop() {
      isStopping = true;
      await Promise.all([first, job.stop()]);
    },
  };
}
