import type { ExecutionChangeStore } from "../store/executions/changes.ts";
import type { Logger } from "../telemetry.ts";

const periodMs = 60_000;

/** Removes executions that have ended and are older than they may be, step by step. */
export function startRetention(options: {
  executions: ExecutionChangeStore;
  retentionMs: number;
  log: Logger;
}): { stop(): Promise<void> } {
  const { executions, retentionMs, log } = options;
  let isStopping = false;

  async function remove(): Promise<void> {
    let removed = 0;
    try {
      for (let step = -1; step !== 0 && !isStopping; removed += step)
        step = await executions.removeOld(new Date(Date.now() - retentionMs));
    } catch (error) {
      log.warn({ err: error }, "old executions could not be removed; trying again");
    }
    if (removed > 0) log.info({ executions: removed }, "removed, since they are older than SIGRUN_RETENTION");
  }

  let removing = remove();
  const timer = setInterval(() => {
    removing = removing.then(remove);
  }, periodMs);

  return {
    async stop() {
      isStopping = true;
      clearInterval(timer);
      await removing;
    },
  };
}
