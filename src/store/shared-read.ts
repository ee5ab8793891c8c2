import { setImmediate as nextTurn } from "node:timers/promises";
import { patiently } from "./patiently.ts";

/**
 * Shares reads. Calls with the same arguments that arrive while a read is in flight share the next
 * one. A read always starts after the calls that it answers, so no caller gets a value older than
 * its call, whichever gateway changed it.
 */
export function createSharedRead<Args extends readonly (string | number)[], T>(
  read: (...args: Args) => Promise<T>,
): (...args: Args) => Promise<T> {
  const inFlight = new Map<string, Promise<unknown>>();
  const next = new Map<string, Promise<T>>();

  async function begin(key: string, args: Args): Promise<T> {
    // Without a read in flight, wait one turn of the event loop: calls of this turn share the read.
    await (inFlight.get(key) ?? nextTurn());
    next.delete(key);
    const reading = read(...args);
    // A read that hangs must not hold the next one.
    const ended = patiently(reading).then(() => {
      if (inFlight.get(key) === ended) inFlight.delete(key);
    });
    inFlight.set(key, ended);
    return reading;
  }

  return (...args) => {
    const key = JSON.stringify(args);
    const joined = next.get(key) ?? begin(key, args);
    next.set(key, joined);
    return joined;
  };
}
