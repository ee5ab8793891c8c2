import { StoreUnavailable } from "../domain/faults.ts";

/**
 * Group commit. Items that arrive while a flush is in flight share the next flush, so that under
 * load many share a commit, and without load none waits.
 */
export function createGroupCommit<Item, Result>(
  flush: (items: Item[]) => Promise<Result[]>,
  maxItems: number,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve(result: Result): void; reject(error: unknown): void };
  const queue: Waiting[] = [];
  let isFlushing = false;

  async function send(batch: Waiting[]): Promise<void> {
    try {
      const results = await flush(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => {
        resolve(results[index] as Result);
      });
    } catch (error) {
      // An item that the database refuses must not fail the others: retry each alone.
      if (batch.length > 1 && !(error instanceof StoreUnavailable))
        for (const waiting of batch) await send([waiting]);
      else for (const { reject } of batch) reject(error);
    }
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) await send(queue.splice(0, maxItems));
    isFlushing = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject });
      if (isFlushing) return;
      isFlushing = true;
      // Wait one turn of the event loop, so that items of this turn share the flush.
      setImmediate(drain);
    });
}
