import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "./telemetry.ts";

/** Maximum time for all that comes after the runs' own time. */
const maxEndMs = 5_000;
/**
 * The shares of that time after which the parts of a phase are left behind: runs are cancelled and
 * recorded, then the database is closed, then the processes end. So a part that hangs does not keep
 * the later ones from being stopped.
 */
const phases = { runs: 0.3, database: 0.6, sidecar: 0.8, postgres: 1 } as const;

export type Phase = keyof typeof phases;
/** The time of a part: until runs are cancelled, and until the part is left behind. */
export type StopTime = { readonly runsMs: number; readonly maxMs: number };

/** The started parts of the gateway, which are stopped in the reverse order of their start. */
export type Shutdown = {
  /** Aborts when the gateway is asked to stop, perhaps while it still starts. */
  readonly signal: AbortSignal;
  /** Adds a part that has started. */
  add(name: string, phase: Phase, stop: (time: StopTime) => Promise<unknown> | unknown): void;
  /**
   * Waits for work that holds only connections, which end with this process. Rejects at once when
   * the signal aborts.
   */
  unlessStopping<T>(work: Promise<T>): Promise<T>;
  abort(): void;
  /** Stops all parts within this time. If one fails to stop, the others are stopped too. */
  stopParts(drainMs: number): Promise<void>;
};

/** The time that runs get to end by themselves, out of the whole time of the drain. */
export const runsMsOf = (drainMs: number): number => drainMs - endMsOf(drainMs);
const endMsOf = (drainMs: number) => Math.min(maxEndMs, drainMs / 2);

export function createShutdown(log: Logger): Shutdown {
  type Part = { name: string; phase: Phase; stop(time: StopTime): Promise<unknown> | unknown };
  const parts: Part[] = [];
  const stopping = new AbortController();
  const { signal } = stopping;
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});

  return {
    signal,
    add: (name, phase, stop) => void parts.unshift({ name, phase, stop }),
    async unlessStopping(work) {
      const result = await Promise.race([work, aborted]);
      signal.throwIfAborted();
      return result;
    },
    abort: () => stopping.abort(),
    async stopParts(drainMs) {
      const runsEndAt = performance.now() + runsMsOf(drainMs);
      for (const { name, phase, stop } of parts) {
        const runsMs = Math.max(0, runsEndAt - performance.now());
        const maxMs = Math.max(0, runsEndAt + phases[phase] * endMsOf(drainMs) - performance.now());
        try {
          const isStopped = await endsWithin(maxMs, Promise.resolve(stop({ runsMs, maxMs })));
          if (!isStopped) log.warn({ maxMs: Math.round(maxMs) }, `${name} did not stop in time`);
        } catch (error) {
          log.error({ err: error }, `${name} could not be stopped in order`);
        }
      }
    },
  };
}

/** Waits for the work, at most this time; false if the time ran out. */
export async function endsWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  const ended = new AbortController();
  const timer = sleep(ms, false, { signal: ended.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), timer]);
  } finally {
    ended.abort();
  }
}
