/** The runs under way in this process: each goes on while anybody waits for it, and ends early when the last one has gone. */
export type LiveRuns<Result> = {
  /** Starts work under an id and waits for it as its first waiter. */
  begin(id: string, waiter: AbortSignal, work: (signal: AbortSignal) => Promise<Result>): Promise<Result>;
  /** Waits along for a run; undefined where none of that id is under way here. */
  join(id: string, waiter: AbortSignal): Promise<Result> | undefined;
  /** Somebody elsewhere waits for a run, for so long at least. */
  keep(id: string, ms: number): void;
  /** Ends a run early, whoever waits for it. False where none of that id is under way here. */
  cancel(id: string, reason: Error): boolean;
  /** Resolves once none is under way. */
  idle(): Promise<void>;
};

export function createLiveRuns<Result>(): LiveRuns<Result> {
  type Run = { result: Promise<Result>; waiters: number; keptUntil: number; end: AbortController };
  const runs = new Map<string, Run>();

  /** False while anybody else waits. */
  function endWhenLeft(run: Run, reason: unknown): boolean {
    const keptMs = run.keptUntil - performance.now();
    if (run.waiters === 0 && keptMs > 0) setTimeout(() => endWhenLeft(run, reason), keptMs);
    if (run.waiters > 0 || keptMs > 0) return false;
    run.end.abort(reason);
    return true;
  }

  function wait(run: Run, waiter: AbortSignal): Promise<Result> {
    run.waiters += 1;
    return new Promise((resolve, reject) => {
      const leave = () => {
        run.waiters -= 1;
        // The last one waits for the record of the run's end; the others need not.
        if (!endWhenLeft(run, waiter.reason)) reject(waiter.reason);
      };
      waiter.addEventListener("abort", leave, { once: true });
      if (waiter.aborted) leave();
      run.result.then(resolve, reject).finally(() => waiter.removeEventListener("abort", leave));
    });
  }

  return {
    begin(id, waiter, work) {
      const end = new AbortController();
      const run: Run = {
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
    keep(id, ms) {
      const run = runs.get(id);
      if (run) run.keptUntil = performance.now() + ms;
    },
    cancel(id, reason) {
      const run = runs.get(id);
      run?.end.abort(reason);
      return run !== undefined;
    },
    async idle() {
      while (runs.size > 0) await Promise.allSettled([...runs.values()].map(({ result }) => result));
    },
  };
}
