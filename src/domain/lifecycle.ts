import { type Reason, StatusConflict } from "./faults.ts";

export type ProgramStatus = "draft" | "ready" | "optimized" | "deployed" | "error";
export type ExecutionStatus = "pending" | "running" | "completed" | "failed" | "cancelled";
export type OptimizationStatus = "pending" | "running" | "completed" | "failed" | "cancelled";

/**
 * Events of a program's revision. An update makes a new revision and leaves the old one unchanged.
 */
export type ProgramEvent = "update" | "build" | "fail" | "optimize" | "deploy" | "undeploy";
export type ExecutionEvent = "start" | "complete" | "fail" | "cancel" | "restart";
/** "start" also restarts after a crash; "hand over" makes it pending for another gateway. */
export type OptimizationEvent = "start" | "hand over" | "complete" | "fail" | "cancel";

type Step<Status> = { readonly from: readonly Status[]; readonly to: Status };

/** "own": an undeployed revision returns to the status in its row. */
const programs: Record<ProgramEvent, Step<ProgramStatus | "own">> = {
  update: { from: ["draft", "ready", "optimized", "deployed", "error"], to: "draft" },
  build: { from: ["draft", "error"], to: "ready" },
  fail: { from: ["draft", "ready", "optimized", "error"], to: "error" },
  optimize: { from: ["ready", "optimized"], to: "optimized" },
  deploy: { from: ["ready", "optimized"], to: "deployed" },
  undeploy: { from: ["deployed"], to: "own" },
};

const executions: Record<ExecutionEvent, Step<ExecutionStatus>> = {
  start: { from: ["pending"], to: "running" },
  complete: { from: ["running"], to: "completed" },
  fail: { from: ["pending", "running"], to: "failed" },
  cancel: { from: ["pending", "running"], to: "cancelled" },
  restart: { from: ["failed"], to: "running" },
};

/** Reasons of a failure that says nothing about the run, but about the processes that ran it. */
const restartReasons: readonly Reason[] = ["INTERRUPTED", "SIDECAR_UNAVAILABLE"];

const optimizations: Record<OptimizationEvent, Step<OptimizationStatus>> = {
  start: { from: ["pending", "running"], to: "running" },
  "hand over": { from: ["running"], to: "pending" },
  complete: { from: ["running"], to: "completed" },
  fail: { from: ["pending", "running"], to: "failed" },
  cancel: { from: ["pending", "running"], to: "cancelled" },
};

export const programStep = (event: ProgramEvent) => programs[event];
export const executionStep = (event: ExecutionEvent) => executions[event];

/** Whether a run may run again under its own record, if its program has no effects. */
export const canRestart = ({ status, errorReason }: { status: ExecutionStatus; errorReason: string }) =>
  executions.restart.from.includes(status) && restartReasons.some((reason) => reason === errorReason);

export const optimizationStep = (event: OptimizationEvent) => optimizations[event];

/** Throws StatusConflict if the status does not allow the event; `what` names the program. */
export function checkProgramStep(event: ProgramEvent, status: ProgramStatus, what: string): void {
  const { from } = programs[event];
  if (!from.includes(status))
    throw new StatusConflict(`can't ${event} ${what}: it is ${status}, and must be ${from.join(" or ")}`);
}

/** The fault of an event that the status of an execution does not allow. */
export function executionConflict(
  event: ExecutionEvent,
  status: ExecutionStatus,
  id: string,
): StatusConflict {
  const { from, to } = executions[event];
  return new StatusConflict(
    `execution ${id} can't become ${to}: it is ${status}, and must be ${from.join(" or ")}`,
  );
}
