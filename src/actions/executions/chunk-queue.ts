/** Values that go from one side to the other no faster than they are taken. */
export type Handoff<T> = AsyncIterable<T> & {
  /** Resolves once the value was taken, or nobody takes any more. */
  push(value: T): Promise<void>;
  /** Ends the iteration after what was pushed. */
  end(): void;
  /** Ends the iteration at once, and holds up nobody who pushes. */
  leave(): void;
};

export function createHandoff<T>(): Handoff<T> {
  const waiting: { value: T; taken: () => void }[] = [];
  let isEnded = false;
  let isLeft = false;
  let wake = () => {};

  function leave(): void {
    isLeft = true;
    for (const { taken } of waiting.splice(0)) taken();
    wake();
  }

  return {
    leave,
    push(value) {
      if (isLeft) return Promise.resolve();
      return new Promise((taken) => {
        waiting.push({ value, taken });
        wake();
      });
    },
    end() {
      isEnded = true;
      wake();
    },
    async *[Symbol.asyncIterator]() {
      try {
        while (!isLeft) {
          const next = waiting.shift();
          if (next) {
            next.taken();
            yield next.value;
          } else if (isEnded) return;
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
      } finally {
        leave();
      }
    },
  };
}
