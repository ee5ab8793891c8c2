import type { Fault } from "../../domain/faults.ts";

/** Lets the answer of a call wait no longer once the call is overdue. */
export type Overdue = {
  /** The fault that made the call overdue; undefined before. */
  fault(): Fault | undefined;
  /** Makes the call overdue. */
  set(fault: Fault): void;
  /** The result of the work; rejects with the fault once the call is overdue. */
  unless<T>(work: Promise<T>): Promise<T>;
  /** The messages of a stream; throws the fault once the call is overdue. */
  unlessStream<T>(messages: AsyncIterable<T>): AsyncIterable<T>;
};

export function createOverdue(): Overdue {
  // A promise that all works race against would keep a reaction of each chunk of a long stream.
  const waiting = new Set<(fault: Fault) => void>();
  let isSet: Fault | undefined;

  function unless<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (isSet) reject(isSet);
      else waiting.add(reject);
      work.finally(() => waiting.delete(reject)).then(resolve, reject);
    });
  }

  return {
    fault: () => isSet,
    set(fault) {
      isSet = fault;
      for (const reject of waiting) reject(fault);
    },
    unless,
    async *unlessStream(messages) {
      const iterator = messages[Symbol.asyncIterator]();
      try {
        for (let next = await unless(iterator.next()); !next.done; next = await unless(iterator.next()))
          yield next.value;
      } finally {
        // Not awaited: a method that waits for something silent would hold up the end of its call.
        iterator.return?.().catch(() => {});
      }
    },
  };
}
