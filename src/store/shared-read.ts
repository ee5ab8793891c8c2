import { setImmediate as turn } from "node:timers/promises";

/**
 * Joins those who ask for the same: while it is being read they wait for the next read, which all of them share. Each read begins after
 * everyone it answers has asked, so nobody is told what stood before, whoever changed it on whichever gateway.
 */
export function createSharedRead<Asked extends readonly (string | number)[], T>(
  read: (...asked: Asked) => Promise<T>,
): (...asked: Asked) => Promise<T> {
  const underway = new Map<string, Promise<unknown>>();
  const next = new Map<string, Promise<T>>();

  async function begin(key: string, asked: Asked): Promise<T> {
    // On the next turn, so that what is asked in this one goes along.
    await (underway.get(key) ?? turn());
    next.delete(key);
    const reading = read(...asked);
    const ended = reading
      .catch(() => {})
      .then(() => {
        if (underway.get(key) === ended) underway.delete(key);
      });
    underway.set(key, ended);
    return reading;
  }

  return (...asked) => {
    const key = JSON.stringify(asked);
    const joined = next.get(key) ?? begin(key, asked);
    next.set(key, joined);
    return joined;
  };
}
