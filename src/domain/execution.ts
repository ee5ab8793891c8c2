import { createHash } from "node:crypto";
import { type Annotations, setAnnotationsOf } from "./annotations.ts";
import type { Violation } from "./faults.ts";
import { canonicalJson, type Json } from "./json.ts";
import type { ExecutionStatus } from "./lifecycle.ts";

export type Values = { readonly [name: string]: Json };

export type TokenUsage = {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Input tokens that the provider had cached. */
  readonly cachedTokens: number;
  readonly lmCalls: number;
};

export const noTokens: TokenUsage = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, lmCalls: 0 };

export const addTokens = (one: TokenUsage, other: TokenUsage): TokenUsage => ({
  inputTokens: one.inputTokens + other.inputTokens,
  outputTokens: one.outputTokens + other.outputTokens,
  cachedTokens: one.cachedTokens + other.cachedTokens,
  lmCalls: one.lmCalls + other.lmCalls,
});

/** The work of one module in a run. */
export type Step = {
  readonly module: string;
  readonly outputs: Values | null;
  /** The model's text, only if it could not be parsed. */
  readonly rawAnswer: string;
  readonly tokenUsage: TokenUsage;
  readonly durationMs: number;
  /** How the model ended its last answer, in OpenAI's words; empty if unknown. */
  readonly finishReason: string;
};

/** Steps and tokens of a run so far. */
export type Trace = {
  readonly steps: readonly Step[];
  readonly tokenUsage: TokenUsage;
  readonly model: string;
};

/** How the model ended the last answer of a run; empty if unknown. */
export const finishReasonOf = ({ steps }: Pick<Trace, "steps">): string =>
  steps.findLast((step) => step.finishReason !== "")?.finishReason ?? "";

export const noTrace: Trace = { steps: [], tokenUsage: noTokens, model: "" };

/** The record of a run. */
export type Execution = Annotations & {
  readonly id: string;
  /** Counts from 1. */
  readonly attempt: number;
  readonly programId: string;
  readonly revision: number;
  readonly status: ExecutionStatus;
  readonly inputs: Values;
  readonly outputs: Values | null;
  readonly errorMessage: string;
  readonly errorReason: string;
  readonly violations: readonly Violation[];
  readonly steps: readonly Step[];
  readonly tokenUsage: TokenUsage;
  readonly model: string;
  readonly finishReason: string;
  readonly requestId: string;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly durationMs: number | null;
  /** The retry time of the model's provider; sent to the caller, but not stored. */
  readonly retryAfterMs?: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
};

/**
 * Changes whenever the record does. Labels count set or not, other annotations only if set, so that
 * a record without a new annotation keeps its etag after an upgrade.
 */
export function executionEtag(execution: Execution): string {
  const { status, labels, updatedAt } = execution;
  const counted = { status, labels, ...setAnnotationsOf(execution), updatedAt: updatedAt.getTime() };
  const content = canonicalJson(counted);
  return `"${createHash("sha256").update(content).digest("base64url").slice(0, 16)}"`;
}
