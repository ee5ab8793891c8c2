import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Execution } from "../../domain/execution.ts";
import { Overloaded, Stopping } from "../../domain/faults.ts";
import { readCondition } from "../../domain/query/condition.ts";
import { readCursor, writeCursor } from "../../domain/query/cursor.ts";
import { executionFields } from "../../domain/query/queryable.ts";
import type { ChangeLog } from "../../store/changes/log.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import { patiently } from "../retry.ts";

export type WatchRequest = { readonly filter: string; readonly resumeToken: string };

/** What somebody who watches is told; the token resumes right after it. */
export type WatchEvent = { readonly resumeToken: string } & (
  | { readonly execution: Execution }
  | { readonly deletedId: string }
  | { readonly sign: "heartbeat" | "lagged" }
);

type Deps = { log: ChangeLog; notices: Notices };

const heartbeatMs = 10_000;
/** How long a change may go unseen whose notice was lost. */
const pollMs = 1_000;
const mostWatchers = 100;

export type Watch = {
  /** Every change of the executions that match, until the signal aborts. Nothing is read ahead of who listens. */
  watch(
    project: string,
    request: WatchRequest,
    withValues: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent>;
  /** Ends them all. */
  stop(): void;
};

/** Tells of executions as they change, on whichever gateway. */
export function createWatch({ log, notices }: Deps): Watch {
  const stopping = new AbortController();
  const bell = new EventTarget();
  let watchers = 0;
  notices.listen(({ kind, project }) => {
    if (kind === "change") bell.dispatchEvent(new Event(project));
  });

  async function* follow(
    project: string,
    { filter, resumeToken }: WatchRequest,
    withValues: boolean,
    end: AbortSignal,
  ) {
    const where = readCondition(filter, executionFields);
    let cursor = resumeToken === "" ? await log.now() : readCursor(resumeToken);
    let told = Number.NEGATIVE_INFINITY;
    while (!end.aborted) {
      // Listened for before it is looked for, so that nothing falls between.
      const news = listenFor(project, end);
      try {
        const found = await patiently(() => log.read(project, cursor, where, withValues));
        for (const { cursor: seen, ...change } of found?.changes ?? []) {
          yield { ...change, resumeToken: writeCursor(seen) };
          told = performance.now();
        }
        cursor = found?.next ?? cursor;
        const sign = found?.isForgotten ? "lagged" : "heartbeat";
        if (sign === "lagged" || performance.now() - told >= heartbeatMs) {
          yield { sign, resumeToken: writeCursor(cursor) } as const;
          told = performance.now();
        }
        if (found?.isAll !== false) await news.heard;
      } finally {
        news.leave();
      }
    }
  }

  /** Heard once something has changed, or may have, or it is the end. */
  function listenFor(project: string, end: AbortSignal): { heard: Promise<unknown>; leave(): void } {
    const left = new AbortController();
    const signal = AbortSignal.any([end, left.signal]);
    const heard = Promise.race([once(bell, project, { signal }), sleep(pollMs, undefined, { signal })]).catch(
      () => {},
    );
    return { heard, leave: () => left.abort() };
  }

  return {
    async *watch(project, request, withValues, signal) {
      if (watchers >= mostWatchers)
        throw new Overloaded(`${mostWatchers} calls watch executions on this gateway already`, heartbeatMs);
      watchers++;
      try {
        yield* follow(project, request, withValues, AbortSignal.any([signal, stopping.signal]));
      } finally {
        watchers--;
      }
      throw signal.aborted ? signal.reason : new Stopping();
    },
    stop: () => stopping.abort(),
  };
}
