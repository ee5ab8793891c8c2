/** What one call holds of a budget. */
export type Hold = {
  /** False, and takes nothing, if the connection or all connections would exceed their maximum. */
  take(amount: number): boolean;
  give(amount: number): void;
  /** Gives back everything, and takes nothing from then on. */
  release(): void;
};

/** Begins to hold something for a call of a connection. */
export type Budget = (connection: object) => Hold;

/** A maximum of bytes or calls, of all connections and of each one. */
export function createBudget(maximum: number, maximumOfConnection: number): Budget {
  const shares = new WeakMap<object, { used: number }>();
  let used = 0;

  return (connection) => {
    const own = shares.get(connection) ?? { used: 0 };
    shares.set(connection, own);
    let held = 0;
    let isReleased = false;
    const move = (amount: number) => {
      held += amount;
      own.used += amount;
      used += amount;
    };
    return {
      take(amount) {
        if (isReleased || used + amount > maximum || own.used + amount > maximumOfConnection) return false;
        move(amount);
        return true;
      },
      give: (amount) => move(-Math.min(amount, held)),
      release() {
        isReleased = true;
        move(-held);
      },
    };
  };
}
