import { setTimeout as sleep } from "node:timers/promises";
import type { Execution } from "../../domain/execution.ts";
import { RequestIdReused } from "../../domain/faults.ts";
import type { RequestKey } from "../../domain/request.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import type { LiveRuns } from "./in-flight.ts";
import type { RunCaller } from "./run-request.ts";

/** The result of the run that stands under a request_id, once it has one; undefined where none stands. */
export type Replay = (project: string, key: RequestKey, caller: RunCaller) => Promise<Execution | undefined>;

type Deps = { executions: ExecutionStore; live: LiveRuns<Execution>; notices: Notices };

/** A gateway that runs something is told so often that somebody waits for it here, and believes it for so long. */
const repeatMs = 1_000;
const believedMs = 5_000;

export function createReplay({ executions, live, notices }: Deps): Replay {
  notices.listen(({ kind, id }) => {
    if (kind === "wait") live.keep(id, believedMs);
  });

  return async function replay(project, key, caller) {
    let saidAt = Number.NEGATIVE_INFINITY;
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
      if (performance.now() - saidAt > repeatMs) {
        await notices.send({ kind: "wait", project, id: execution.id });
        saidAt = performance.now();
      }
      await sleep(pauseMs, undefined, { signal: caller.signal }).catch(() => {
        throw caller.signal.reason;
      });
    }
  };
}
