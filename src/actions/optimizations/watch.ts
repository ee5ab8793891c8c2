import type { Optimization } from "../../domain/optimization/optimization.ts";
import { checkUuid } from "../../domain/uuid.ts";
import { ifStoreAvailable } from "../../retry.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import type { OptimizationStore } from "../../store/optimizations/optimizations.ts";
import { createWatchers, heartbeatMs } from "../watchers.ts";

type Deps = { optimizations: OptimizationStore; notices: Notices };

/**
 * The record now and after each change until the optimization ends; "heartbeat" after 10 s without
 * an event.
 */
export type WatchOptimization = (
  project: string,
  id: string,
  signal: AbortSignal,
) => AsyncGenerator<Optimization | "heartbeat">;

/** Watches an optimization, whichever gateway works on it. */
export function createWatchOptimization({ optimizations, notices }: Deps): WatchOptimization {
  const watchers = createWatchers("optimizations", notices.pollMs);
  notices.listen(({ kind, id }) => {
    if (kind === "optimization") watchers.notify(id);
  });

  async function* follow(
    project: string,
    id: string,
    signal: AbortSignal,
  ): AsyncGenerator<Optimization | "heartbeat"> {
    let seenAt: number | undefined;
    let lastEventAt = performance.now();
    while (!signal.aborted) {
      const next = watchers.nextChange(id, signal);
      try {
        const optimization = await ifStoreAvailable(() => optimizations.get(project, id));
        // An end may have the same updatedAt, in milliseconds, as the progress before it.
        if (optimization && (optimization.completedAt || optimization.updatedAt.getTime() !== seenAt)) {
          seenAt = optimization.updatedAt.getTime();
          yield optimization;
          lastEventAt = performance.now();
        }
        if (optimization?.completedAt) return;
        if (performance.now() - lastEventAt >= heartbeatMs) {
          yield "heartbeat";
          lastEventAt = performance.now();
        }
        await next.changed;
      } finally {
        next.cancel();
      }
    }
    throw signal.reason;
  }

  return async function* watch(project, id, signal) {
    checkUuid(id, "id");
    yield* watchers.watch(() => follow(project, id, signal));
  };
}
