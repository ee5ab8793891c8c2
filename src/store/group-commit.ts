import { StoreUnavailable } from "../domain/faults.ts";
import { patiently } from "./patiently.ts";

export type Limits<Item> = {
  readonly maxItems: number;
  /** A single item may be larger. */
  readonly maxBytes: number;
  bytesOf(item: Item): number;
};

/**
 * Group commit. Items that arrive while a flush is in flight share the next flush, so that under
 * load many share a commit, and without load none waits. A flush that hangs holds its own items
 * alone: the next one goes on another connection.
 */
export function createGroupCommit<Item, Result>(
  flush: (items: Item[]) => Promise<Result[]>,
  { maxItems, maxBytes, bytesOf }: Limits<Item>,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve(result: Result): void; reject(error: unknown): void };
  let queue: Waiting[] = [];
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

  /** Takes the first items off the queue, up to the maximum number and size of a batch. */
  function takeBatch(): Waiting[] {
    let count = 0;
    let bytes = 0;
    for (const { item } of queue) {
      bytes += bytesOf(item);
      if (count === maxItems || (count > 0 && bytes > maxBytes)) break;
      count += 1;
    }
    const batch = queue.slice(0, count);
    queue = queue.slice(count);
    return batch;
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) await patiently(send(takeBatch()));
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
