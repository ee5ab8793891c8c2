import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Overloaded } from "../domain/faults.ts";

export const heartbeatMs = 10_000;
const maxWatchers = 100;

/** The calls that watch one noun on this gateway. */
export type Watchers = {
  /** Runs `follow` as one of at most 100 watchers. */
  watch<Event>(follow: () => AsyncGenerator<Event>): AsyncGenerator<Event>;
  /**
   * Begins to wait for a change under a key, or for the next poll. Begin before reading, so that no
   * change is missed.
   */
  nextChange(key: string, signal: AbortSignal): { readonly changed: Promise<unknown>; cancel(): void };
  /** Wakes all watchers of a key. */
  notify(key: string): void;
};

/**
 * `noun` is what they watch, in the plural, for the error that refuses one too many. `pollMs` is
 * the maximum delay of a change whose notice was lost.
 */
export function createWatchers(noun: string, pollMs: number): Watchers {
  const changes = new EventTarget();
  let count = 0;

  return {
    async *watch(follow) {
      if (count >= maxWatchers)
        throw new Overloaded(
          `${maxWatchers} calls already watch ${noun} on this gateway, the maximum`,
          heartbeatMs,
        );
      count++;
      try {
        yield* follow();
      } finally {
        count--;
      }
    },

    nextChange(key, signal) {
      const cancelled = new AbortController();
      const options = { signal: AbortSignal.any([signal, cancelled.signal]) };
      const changed = Promise.race([once(changes, key, options), sleep(pollMs, undefined, options)]);
      return { changed: changed.catch(() => {}), cancel: () => cancelled.abort() };
    },

    notify: (key) => void changes.dispatchEvent(new Event(key)),
  };
}
