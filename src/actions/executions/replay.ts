import { setTimeout as sleep } from "node:timers/promises";
import type { Execution } from "../../domain/execution.ts";
import { RequestIdReused } from "../../domain/faults.ts";
import type { RequestKey } from "../../domain/request.ts";
import type { ExecutionStore } from "../../store/executions.ts";
import type { LiveRuns } from "./live.ts";
import type { RunCaller } from "./run.ts";

/** The result of the run that stands under a request_id, once it has one; undefined where none stands. */
export type Replay = (project: string, key: RequestKey, caller: RunCaller) => Promise<Execution | undefined>;

export function createReplay({ executions, live }: { executions: ExecutionStore; live: LiveRuns<Execution> }): Replay {
  return async function replay(project, key, caller) {
    for (let pauseMs = 20, told = false; ; pauseMs = Math.min(pauseMs * 2, 500)) {
      const found = await executions.findByRequest(project, key);
      if (!found) return undefined;
      if (found.hash !== key.hash) throw new RequestIdReused(key.id);
      const { execution } = found;
      if (!told) caller.onRecord(execution);
      told = true;
      if (execution.completedAt) return execution;
      // Where it does not run here it runs in another gateway, which records its end.
      const here = live.join(execution.id, caller.signal);
      if (here) return here;
      await sleep(pauseMs, undefined, { signal: caller.signal }).catch(() => {
        throw caller.signal.reason;
      });
    }
  };
}
