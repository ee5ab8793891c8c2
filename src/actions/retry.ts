import { setTimeout as sleep } from "node:timers/promises";
import { StoreUnavailable } from "../domain/faults.ts";

/** Does what needs the database; undefined while that is away: it will be back. */
export async function patiently<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined;
    throw error;
  }
}

const retryMs = 500;

/** Does it again and again until the database is there; `away` is told the first time that it is not. */
export async function untilThere<T>(
  work: () => Promise<T>,
  away: (error: StoreUnavailable) => void,
): Promise<T> {
  for (let isTold = false; ; isTold = true) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      if (!isTold) away(error);
      await sleep(retryMs);
    }
  }
}
