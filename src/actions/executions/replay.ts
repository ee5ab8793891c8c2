import { setTimeout as sleep } from "node:timers/promises";
import type { Execution } from "../../domain/execution.ts";
import { RequestIdReused } from "../../domain/faults.ts";
import { isSameRequest, type RequestKey } from "../../domain/request.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import type { InFlightRuns } from "./in-flight.ts";
import type { RunCaller } from "./run-request.ts";

/** The record of a repeated request, and whether its run had ended when the request came. */
export type Replayed = { readonly execution: Execution; readonly hadEnded: boolean };

/** Waits for the run that has this request_id and gives its record; undefined if there is none. */
export type Replay = (project: string, key: RequestKey, caller: RunCaller) => Promise<Replayed | undefined>;

type Deps = { executions: ExecutionStore; inFlight: InFlightRuns<Execution>; notices: Notices };

/**
 * Heartbeat: a waiting gateway notifies the running one every `repeatMs`; a notification is trusted
 * for `believedMs`.
 */
const repeatMs = 1_000;
const believedMs = 5_000;

export function createReplay({ executions, inFlight, notices }: Deps): Replay {
  notices.listen(({ kind, id }) => {
    if (kind === "wait") inFlight.keepAlive(id, believedMs);
  });

  return async function replay(project, key, caller) {
    let notifiedAt = Number.NEGATIVE_INFINITY;
    for (let pauseMs = 20, isFirst = true; ; pauseMs = Math.min(pauseMs * 2, 500), isFirst = false) {
      const found = await executions.findByRequest(project, key);
      if (!found) return undefined;
      if (!isSameRequest(found.hash, key)) throw new RequestIdReused(key.id);
      const { execution } = found;
      if (isFirst) caller.onRecord(execution);
      if (execution.completedAt) return { execution, hadEnded: isFirst };
      const joined = inFlight.join(execution.id, caller.signal);
      if (joined) return { execution: await joined, hadEnded: false };
      // Another gateway runs it and will record its end, or its end waits for the database here.
      if (performance.now() - notifiedAt > repeatMs) {
        await notices.send({ kind: "wait", project, id: execution.id });
        notifiedAt = performance.now();
      }
      await sleep(pauseMs, undefined, { signal: caller.signal }).catch(() => {
        throw caller.signal.reason;
      });
    }
  };
}
