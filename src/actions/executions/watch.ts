import type { Execution } from "../../domain/execution.ts";
import { readCondition } from "../../domain/query/condition.ts";
import { readCursor, writeCursor } from "../../domain/query/cursor.ts";
import { executionFields } from "../../domain/query/queryable.ts";
import { ifStoreAvailable } from "../../retry.ts";
import type { ChangeLog } from "../../store/changes/log.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import { createWatchers, heartbeatMs } from "../watchers.ts";

export type WatchRequest = { readonly filter: string; readonly resumeToken: string };

/** A watch that resumes with the token gets all events after this one. */
export type WatchEvent = { readonly resumeToken: string } & (
  | { readonly execution: Execution }
  | { readonly deletedId: string }
  | { readonly sign: "heartbeat" | "lagged" }
);

type Deps = { changeLog: ChangeLog; notices: Notices };

/**
 * Every change of the executions that match, until the signal aborts. Reads no further changes
 * before the caller takes these.
 */
export type Watch = (
  project: string,
  request: WatchRequest,
  withValues: boolean,
  signal: AbortSignal,
) => AsyncGenerator<WatchEvent>;

/** Watches executions, whichever gateway changes them. */
export function createWatch({ changeLog, notices }: Deps): Watch {
  const watchers = createWatchers("executions", notices.pollMs);
  notices.listen(({ kind, project }) => {
    if (kind === "change") watchers.notify(project);
  });

  async function* follow(
    project: string,
    { filter, resumeToken }: WatchRequest,
    withValues: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent> {
    const where = readCondition(filter, executionFields);
    let cursor = resumeToken === "" ? await changeLog.now() : readCursor(resumeToken);
    let lastEventAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const next = watchers.nextChange(project, signal);
      try {
        const found = await ifStoreAvailable(() => changeLog.read(project, cursor, where, withValues));
        for (const { cursor: changeCursor, ...change } of found?.changes ?? []) {
          yield { ...change, resumeToken: writeCursor(changeCursor) };
          lastEventAt = performance.now();
        }
        cursor = found?.next ?? cursor;
        const sign = found?.isForgotten ? "lagged" : "heartbeat";
        if (sign === "lagged" || performance.now() - lastEventAt >= heartbeatMs) {
          yield { sign, resumeToken: writeCursor(cursor) };
          lastEventAt = performance.now();
        }
        if (found?.isAll !== false) await next.changed;
      } finally {
        next.cancel();
      }
    }
    throw signal.reason;
  }

  return (project, request, withValues, signal) =>
    watchers.watch(() => follow(project, request, withValues, signal));
}
