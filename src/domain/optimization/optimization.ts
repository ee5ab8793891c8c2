import type { TokenUsage, Values } from "../execution.ts";
import type { Labels } from "../labels.ts";
import type { OptimizationStatus } from "../lifecycle.ts";
import type { LmSettings } from "../program/program.ts";
import type { Violations } from "../violations.ts";

/** Inputs of a program, and the outputs that are expected for them. */
export type Example = { readonly inputs: Values; readonly outputs: Values };

/** A metric scores an answer from 0 to 1. */
export type Metric = {
  readonly name: string;
  /** The output to score; if empty, the mean over all outputs. */
  readonly field: string;
  readonly params: Values;
  /** Its weight in the mean of all metrics. */
  readonly weight: number;
};

/** Maximum time and spending of an optimization; 0 for no maximum. */
export type Budget = {
  /** Maximum time of each attempt. */
  readonly timeMs: number;
  readonly lmCalls: number;
  /** Input and output tokens together. */
  readonly tokens: number;
};

/** Progress of an optimization. */
export type Progress = {
  readonly phase: string;
  readonly message: string;
  /** From 0 to 1; null if unknown. */
  readonly fraction: number | null;
  /** Best score on the examples that the optimizer sees. */
  readonly bestScore: number | null;
};

/** The record of an optimization. */
export type Optimization = Progress & {
  readonly id: string;
  readonly programId: string;
  readonly baseRevision: number;
  readonly optimizer: string;
  readonly metrics: readonly Metric[];
  readonly config: Values;
  readonly seed: number;
  /** Examples that run at the same time; 0 for the default. */
  readonly threads: number;
  readonly trainsetSize: number;
  readonly valsetSize: number;
  readonly status: OptimizationStatus;
  /** Scores before and after, on the same held-out examples. */
  readonly baselineScore: number | null;
  readonly score: number | null;
  /** The revision that the optimization made. */
  readonly revision: number | null;
  readonly errorReason: string;
  readonly errorMessage: string;
  /** Tokens of all attempts together. */
  readonly tokenUsage: TokenUsage;
  /** Attempts so far. */
  readonly attempt: number;
  readonly requestId: string;
  readonly labels: Labels;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly updatedAt: Date;
};

/** The data that an attempt needs in addition to the record. */
export type OptimizationTask = {
  readonly trainset: readonly Example[];
  readonly valset: readonly Example[];
  readonly budget: Budget;
  readonly keepWorse: boolean;
  /** By role: teacher, prompt, task, reflection, judge. */
  readonly lms: Readonly<Record<string, LmSettings>>;
};

/** Maximum number of attempts; if the last one dies, the optimization fails. */
export const maxAttempts = 5;

/** Maximum number of threads that a caller may set. */
export const maxThreads = 64;

const defaultTimeMs = 300_000;
const maxTimeMs = 12 * 3_600_000;

/** The budget that a caller sets, with the default time if it sets none. */
export function readBudget(asked: Budget | undefined, v: Violations): Budget {
  const { timeMs, lmCalls, tokens } = asked ?? { timeMs: 0, lmCalls: 0, tokens: 0 };
  if (timeMs < 0 || timeMs > maxTimeMs)
    v.add("time", `must be from 1 to ${maxTimeMs / 1000} seconds`, "range");
  for (const [part, value] of Object.entries({ lm_calls: lmCalls, tokens }))
    if (value < 0 || !Number.isSafeInteger(value))
      v.add(part, "must be from 0 to 2^53-1; 0 means no maximum", "range");
  return { timeMs: timeMs || defaultTimeMs, lmCalls, tokens };
}

/** The budget that earlier attempts left. A spent budget is 1, since 0 means no maximum. */
export function budgetLeft({ timeMs, lmCalls, tokens }: Budget, spent: TokenUsage): Budget {
  const left = (max: number, used: number) => (max === 0 ? 0 : Math.max(1, max - used));
  return {
    timeMs,
    lmCalls: left(lmCalls, spent.lmCalls),
    tokens: left(tokens, spent.inputTokens + spent.outputTokens),
  };
}
