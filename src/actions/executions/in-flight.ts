/** The runs in flight in this process. A run goes on while at least one caller waits for it. */
export type InFlightRuns<Result> = {
  /** Starts a run and waits for it as its first waiter. */
  start(id: string, waiter: AbortSignal, work: (signal: AbortSignal) => Promise<Result>): Promise<Result>;
  /** Waits for a run that another caller started; undefined if it is not in flight here. */
  join(id: string, waiter: AbortSignal): Promise<Result> | undefined;
  /** Lets a run go on for at least `ms`, even without a waiter here. */
  keepAlive(id: string, ms: number): void;
  /** Ends a run early, even if callers wait for it. False if it is not in flight here. */
  cancel(id: string, reason: Error): boolean;
  /** Ends all runs early. */
  cancelAll(reason: Error): void;
  has(id: string): boolean;
  /** Resolves once no run is in flight. */
  idle(): Promise<void>;
};

export function createInFlightRuns<Result>(): InFlightRuns<Result> {
  type InFlightRun = { result: Promise<Result>; waiters: number; keptUntil: number; end: AbortController };
  const runs = new Map<string, InFlightRun>();

  /** Cancels the run if nobody waits for it, here or elsewhere; returns whether it did. */
  function cancelIfAbandoned(run: InFlightRun, reason: unknown): boolean {
    const keptMs = run.keptUntil - performance.now();
    if (run.waiters === 0 && keptMs > 0) setTimeout(() => cancelIfAbandoned(run, reason), keptMs);
    if (run.waiters > 0 || keptMs > 0) return false;
    run.end.abort(reason);
    return true;
  }

  function wait(run: InFlightRun, waiter: AbortSignal): Promise<Result> {
    run.waiters += 1;
    return new Promise((resolve, reject) => {
      const leave = () => {
        run.waiters -= 1;
        // A waiter that leaves while others wait, here or elsewhere, is rejected at once. The last
        // one to leave ends the run, and then waits for the commit of that end: it gets the record.
        if (!cancelIfAbandoned(run, waiter.reason)) reject(waiter.reason);
      };
      waiter.addEventListener("abort", leave, { once: true });
      if (waiter.aborted) leave();
      run.result.then(resolve, reject).finally(() => waiter.removeEventListener("abort", leave));
    });
  }

  return {
    start(id, waiter, work) {
      const end = new AbortController();
      const run: InFlightRun = {
        result: work(end.signal).finally(() => runs.delete(id)),
        waiters: 0,
        keptUntil: 0,
        end,
      };
      runs.set(id, run);
      return wait(run, waiter);
    },
    join(id, waiter) {
      const run = runs.get(id);
      return run && wait(run, waiter);
    },
    keepAlive(id, ms) {
      const run = runs.get(id);
      if (run) run.keptUntil = performance.now() + ms;
    },
    cancel(id, reason) {
      const run = runs.get(id);
      run?.end.abort(reason);
      return run !== undefined;
    },
    cancelAll(reason) {
      for (const { end } of runs.values()) end.abort(reason);
    },
    has: (id) => runs.has(id),
    async idle() {
      while (runs.size > 0) await Promise.allSettled([...runs.values()].map(({ result }) => result));
    },
  };
}
