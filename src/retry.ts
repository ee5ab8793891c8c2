import { setTimeout as sleep } from "node:timers/promises";
import { StoreUnavailable } from "./domain/faults.ts";

const retryMs = 250;

/** Retries until the database is back. Calls `onUnavailable` if the first attempt fails. */
export async function retryUntilStoreAvailable<T>(
  work: () => Promise<T>,
  onUnavailable: (error: StoreUnavailable) => void,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      if (attempt === 1) onUnavailable(error);
      await sleep(retryMs);
    }
  }
}

/** Does the work once; undefined if the database is away. For callers that retry by themselves. */
export async function ifStoreAvailable<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined;
    throw error;
  }
}
