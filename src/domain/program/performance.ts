/** How a program does: its scores, and what its newest executions show. */
export type Performance = {
  /** Of the newest revision, from 0 to 1, where an optimization made it; the baseline is what there was before. */
  readonly score: number | null;
  readonly baselineScore: number | null;
  /** The newest that was completed, of whichever revision. */
  readonly evaluation: {
    readonly revision: number;
    readonly score: number;
    readonly examples: number;
  } | null;
  /** Of the newest 1,000. */
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

/** So that asking for it takes as long however many executions there are. */
export const performanceWindow = 1_000;
