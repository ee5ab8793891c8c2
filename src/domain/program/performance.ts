/** Scores of a program, and figures of its newest executions. */
export type Performance = {
  /**
   * Score of the newest revision, from 0 to 1, if an optimization made it; the baseline is the
   * score before.
   */
  readonly score: number | null;
  readonly baselineScore: number | null;
  /** The newest completed evaluation, of any revision. */
  readonly evaluation: {
    readonly revision: number;
    readonly score: number;
    readonly examples: number;
  } | null;
  /** Figures of the newest 1,000 executions. */
  readonly executions: {
    readonly count: number;
    /** completed / count */
    readonly successRate: number;
    readonly averageMs: number;
    readonly p50Ms: number;
    readonly p95Ms: number;
    readonly p99Ms: number;
    readonly inputTokens: number;
    readonly outputTokens: number;
    readonly lmCalls: number;
  };
};

/** A fixed number, so that the query takes equally long for any number of executions. */
export const performanceWindow = 1_000;
