import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Overloaded, Stopping } from "../../domain/faults.ts";
import type { Optimization } from "../../domain/optimization/optimization.ts";
import { checkUuid } from "../../domain/uuid.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import type { OptimizationStore } from "../../store/optimizations/optimizations.ts";
import { patiently } from "../retry.ts";

type Deps = { optimizations: OptimizationStore; notices: Notices };

const heartbeatMs = 10_000;
/** How long a step may go unseen whose notice was lost. */
const pollMs = 1_000;
const mostWatchers = 100;

export type WatchOptimization = {
  /** Where it stands, now and at each step until it ends; "heartbeat" where nothing was told for 10 s. */
  watch(project: string, id: string, signal: AbortSignal): AsyncGenerator<Optimization | "heartbeat">;
  /** Ends them all. */
  stop(): void;
};

/** Tells of an optimization as it goes on, on whichever gateway. */
export function createWatchOptimization({ optimizations, notices }: Deps): WatchOptimization {
  const stopping = new AbortController();
  const bell = new EventTarget();
  let watchers = 0;
  notices.listen(({ kind, id }) => {
    if (kind === "optimization") bell.dispatchEvent(new Event(id));
  });

  async function* follow(
    project: string,
    id: string,
    signal: AbortSignal,
  ): AsyncGenerator<Optimization | "heartbeat"> {
    let seen: number | undefined;
    let told = performance.now();
    while (!signal.aborted) {
      // Listened for before it is looked at, so that nothing falls between.
      const left = new AbortController();
      const ends = { signal: AbortSignal.any([signal, left.signal]) };
      const heard = Promise.race([once(bell, id, ends), sleep(pollMs, undefined, ends)]).catch(() => {});
      try {
        const optimization = await patiently(() => optimizations.get(project, id));
        // Its end may come in the same millisecond as the step before it.
        if (optimization && (optimization.completedAt || optimization.updatedAt.getTime() !== seen)) {
          seen = optimization.updatedAt.getTime();
          yield optimization;
          told = performance.now();
        }
        if (optimization?.completedAt) return;
        if (performance.now() - told >= heartbeatMs) {
          yield "heartbeat";
          told = performance.now();
        }
        await heard;
      } finally {
        left.abort();
      }
    }
    throw stopping.signal.aborted ? new Stopping() : signal.reason;
  }

  return {
    async *watch(project, id, signal) {
      checkUuid(id, "id");
      if (watchers >= mostWatchers)
        throw new Overloaded(
          `${mostWatchers} calls watch optimizations on this gateway already`,
          heartbeatMs,
        );
      watchers++;
      try {
        yield* follow(project, id, AbortSignal.any([signal, stopping.signal]));
      } finally {
        watchers--;
      }
    },
    stop: () => stopping.abort(),
  };
}
