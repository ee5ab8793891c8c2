import { StoreUnavailable } from "../domain/faults.ts";

/** Joins what comes while a flush is under way into the next one: under load many share a commit, alone none waits. */
export function createBatch<Item, Result>(
  flush: (items: Item[]) => Promise<Result[]>,
  limit: number,
): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve(result: Result): void; reject(error: unknown): void };
  const queue: Waiting[] = [];
  let flushing = false;

  async function send(batch: Waiting[]): Promise<void> {
    try {
      const results = await flush(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => {
        resolve(results[index] as Result);
      });
    } catch (error) {
      // One item that the database refuses must not take its neighbours along.
      if (batch.length > 1 && !(error instanceof StoreUnavailable))
        for (const waiting of batch) await send([waiting]);
      else for (const { reject } of batch) reject(error);
    }
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) await send(queue.splice(0, limit));
    flushing = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject });
      if (flushing) return;
      flushing = true;
      // On the next turn, so that what arrives in this one goes along.
      setImmediate(drain);
    });
}
