import type { Logger } from "./telemetry.ts";

/** Time that calls in flight get to end when the gateway stops. */
export const drainMs = 30_000;

/** The started parts of the gateway, which are stopped in the reverse order of their start. */
export type Shutdown = {
  /** Aborts when the gateway is asked to stop, perhaps while it still starts. */
  readonly signal: AbortSignal;
  /** Adds a part that has started. */
  add(name: string, stop: () => Promise<unknown> | unknown): void;
  /**
   * Waits for work that holds only connections, which end with this process. Rejects at once when
   * the signal aborts.
   */
  unlessStopping<T>(work: Promise<T>): Promise<T>;
  abort(): void;
  /** Stops all parts. If one fails to stop, the others are stopped too. */
  stopParts(): Promise<void>;
};

export function createShutdown(log: Logger): Shutdown {
  const parts: { name: string; stop(): Promise<unknown> | unknown }[] = [];
  const stopping = new AbortController();
  const { signal } = stopping;
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});

  return {
    signal,
    add: (name, stop) => void parts.unshift({ name, stop }),
    async unlessStopping(work) {
      const result = await Promise.race([work, aborted]);
      signal.throwIfAborted();
      return result;
    },
    abort: () => stopping.abort(),
    async stopParts() {
      for (const { name, stop } of parts) {
        try {
          await stop();
        } catch (error) {
          log.error({ err: error }, `${name} could not be stopped in order`);
        }
      }
    },
  };
}
