/** A queue whose producer waits until the consumer has taken each value. */
export type ChunkQueue<T> = AsyncIterable<T> & {
  /** Resolves once the consumer has taken the value, or has stopped. */
  push(value: T): Promise<void>;
  /** Ends the iteration after the values that are queued. */
  end(): void;
  /** Ends the iteration at once and drops the values that are queued, so that no producer waits. */
  cancel(): void;
};

export function createChunkQueue<T>(): ChunkQueue<T> {
  const queued: { value: T; onTaken: () => void }[] = [];
  let isEnded = false;
  let isCancelled = false;
  let wake = () => {};

  function cancel(): void {
    isCancelled = true;
    for (const { onTaken } of queued.splice(0)) onTaken();
    wake();
  }

  return {
    cancel,
    push(value) {
      if (isCancelled) return Promise.resolve();
      return new Promise((onTaken) => {
        queued.push({ value, onTaken });
        wake();
      });
    },
    end() {
      isEnded = true;
      wake();
    },
    async *[Symbol.asyncIterator]() {
      try {
        while (!isCancelled) {
          const next = queued.shift();
          if (next) {
            next.onTaken();
            yield next.value;
          } else if (isEnded) return;
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
      } finally {
        cancel();
      }
    },
  };
}
