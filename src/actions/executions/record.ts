import { annotationsOf } from "../../domain/annotations.ts";
import {
  addTokens,
  type Execution,
  finishReasonOf,
  noTrace,
  type Trace,
  type Values,
} from "../../domain/execution.ts";
import type { Fault } from "../../domain/faults.ts";
import { timeOf } from "../../domain/uuid.ts";
import type { RunEnd, RunStart } from "../../store/executions/run.ts";

/** The outputs of a run, or the fault that ended it. */
export type Outcome =
  | { readonly outputs: Values; readonly trace: Trace }
  | { readonly fault: Fault; readonly trace: Trace };

/** The end of a run, for the recorder. */
export function endOf(start: RunStart, outcome: Outcome, durationMs: number): RunEnd {
  const fault = "fault" in outcome ? outcome.fault : null;
  return {
    project: start.project,
    id: start.id,
    attempt: start.attempt,
    status: fault === null ? "completed" : fault.reason === "CANCELLED" ? "cancelled" : "failed",
    outputs: "outputs" in outcome ? outcome.outputs : null,
    errorReason: fault?.reason ?? "",
    errorMessage: fault?.message ?? "",
    violations: fault?.violations ?? [],
    trace: outcome.trace,
    completedAt: new Date(start.startedAt.getTime() + durationMs),
    durationMs,
  };
}

/** The record of a run that has just started, from the values written: saves reading it back. */
export function runningRecord(start: RunStart): Execution {
  return {
    id: start.id,
    attempt: start.attempt,
    programId: start.programId,
    revision: start.revision,
    status: "running",
    inputs: start.inputs,
    outputs: null,
    errorReason: "",
    errorMessage: "",
    violations: [],
    ...noTrace,
    tokenUsage: start.earlierUsage,
    model: start.model,
    finishReason: "",
    requestId: start.request?.id ?? "",
    ...annotationsOf(start),
    startedAt: start.startedAt,
    completedAt: null,
    durationMs: null,
    createdAt: timeOf(start.id),
    updatedAt: start.startedAt,
  };
}

/** The record of a run whose end was just recorded. */
export function endedRecord(start: RunStart, { trace, project: _, ...end }: RunEnd): Execution {
  return {
    ...runningRecord(start),
    ...end,
    ...trace,
    tokenUsage: addTokens(start.earlierUsage, trace.tokenUsage),
    model: trace.model || start.model,
    finishReason: finishReasonOf(trace),
    updatedAt: end.completedAt,
  };
}
