import type { TokenUsage, Values } from "../execution.ts";
import type { Labels } from "../labels.ts";
import type { OptimizationStatus } from "../lifecycle.ts";
import type { LmSettings } from "../program/program.ts";
import type { Violations } from "../violations.ts";

/** What a program is given, and what it should make of it. */
export type Example = { readonly inputs: Values; readonly outputs: Values };

/** How an answer is scored, from 0 to 1. */
export type Metric = {
  readonly name: string;
  /** The output it looks at; the mean over every one where empty. */
  readonly field: string;
  readonly params: Values;
  /** Its share of the score. */
  readonly weight: number;
};

/** What an optimization may take; 0 for no bound. */
export type Budget = {
  /** Of each attempt. */
  readonly timeMs: number;
  readonly lmCalls: number;
  /** Input and output tokens together. */
  readonly tokens: number;
};

/** Where an optimization stands. */
export type Progress = {
  readonly phase: string;
  readonly message: string;
  /** From 0 to 1, where it is known. */
  readonly fraction: number | null;
  /** Of the examples that the optimizer sees. */
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
  readonly trainsetSize: number;
  readonly valsetSize: number;
  readonly status: OptimizationStatus;
  /** Both of the same held-out examples. */
  readonly baselineScore: number | null;
  readonly score: number | null;
  /** The revision that it made. */
  readonly revision: number | null;
  readonly errorReason: string;
  readonly errorMessage: string;
  /** Of all attempts. */
  readonly tokenUsage: TokenUsage;
  /** How many times it was taken up. */
  readonly attempt: number;
  readonly requestId: string;
  readonly labels: Labels;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly updatedAt: Date;
};

/** What whoever takes up an optimization must know beside its record. */
export type OptimizationTask = {
  readonly trainset: readonly Example[];
  readonly valset: readonly Example[];
  readonly budget: Budget;
  readonly keepWorse: boolean;
  /** By role: teacher, prompt, task, reflection, judge. */
  readonly lms: Readonly<Record<string, LmSettings>>;
};

/** Attempts that may die under an optimization before it is given up. */
export const mostAttempts = 5;

const usualTimeMs = 300_000;
const longestTimeMs = 12 * 3_600_000;

/** A budget as a caller sets it, with the usual time where it sets none. */
export function readBudget(asked: Budget | undefined, v: Violations): Budget {
  const { timeMs, lmCalls, tokens } = asked ?? { timeMs: 0, lmCalls: 0, tokens: 0 };
  if (timeMs < 0 || timeMs > longestTimeMs)
    v.add("time", `must be from 1 to ${longestTimeMs / 1000} seconds`, "range");
  for (const [part, value] of Object.entries({ lm_calls: lmCalls, tokens }))
    if (value < 0 || !Number.isSafeInteger(value))
      v.add(part, "must be from 0, for no bound, to 2^53-1", "range");
  return { timeMs: timeMs || usualTimeMs, lmCalls, tokens };
}

/** What earlier attempts left of a budget. Nothing left is told as 1, since 0 has no bound. */
export function budgetLeft({ timeMs, lmCalls, tokens }: Budget, spent: TokenUsage): Budget {
  const left = (bound: number, used: number) => (bound === 0 ? 0 : Math.max(1, bound - used));
  return {
    timeMs,
    lmCalls: left(lmCalls, spent.lmCalls),
    tokens: left(tokens, spent.inputTokens + spent.outputTokens),
  };
}
