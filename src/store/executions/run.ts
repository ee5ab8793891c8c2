import type { Annotations } from "../../domain/annotations.ts";
import type { TokenUsage, Trace, Values } from "../../domain/execution.ts";
import type { Violation } from "../../domain/faults.ts";
import type { RequestKey } from "../../domain/request.ts";

/** A run that is about to begin. */
export type RunStart = Annotations & {
  readonly project: string;
  readonly id: string;
  /** Counts from 1. */
  readonly attempt: number;
  /** What the earlier attempts spent. */
  readonly earlierUsage: TokenUsage;
  readonly programId: string;
  readonly revision: number;
  /**
   * True if the caller named no revision: nothing is written unless `revision` is the one that the
   * program's callers get now.
   */
  readonly mustBeCurrent: boolean;
  readonly inputs: Values;
  readonly model: string;
  readonly request: RequestKey | null;
  readonly startedAt: Date;
};

/** How a run ended. */
export type RunEnd = {
  readonly project: string;
  readonly id: string;
  readonly attempt: number;
  readonly status: "completed" | "failed" | "cancelled";
  readonly outputs: Values | null;
  readonly errorReason: string;
  readonly errorMessage: string;
  readonly violations: readonly Violation[];
  readonly trace: Trace;
  readonly completedAt: Date;
  readonly durationMs: number;
};
