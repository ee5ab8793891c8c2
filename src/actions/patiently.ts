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
