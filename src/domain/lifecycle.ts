import { StatusConflict } from "./faults.ts";

export type ProgramStatus = "draft" | "ready" | "optimized" | "deployed" | "error";
export type ExecutionStatus = "pending" | "running" | "completed" | "failed" | "cancelled";

/** What happens to a program or one of its revisions. */
export type ProgramEvent = "update" | "build" | "fail" | "optimize" | "deploy" | "undeploy";
export type ExecutionEvent = "start" | "complete" | "fail" | "cancel";

const programs: Record<ProgramEvent, { from: readonly ProgramStatus[]; to: Exclude<ProgramStatus, "deployed"> | "deployed" }> = {
  update: { from: ["draft", "ready", "optimized", "error"], to: "draft" },
  build: { from: ["draft", "error"], to: "ready" },
  fail: { from: ["draft", "error"], to: "error" },
  optimize: { from: ["ready", "optimized"], to: "optimized" },
  deploy: { from: ["ready", "optimized"], to: "deployed" },
  undeploy: { from: ["deployed"], to: "ready" },
};

/** The status after the event; StatusConflict where the event may not follow. */
export function nextProgramStatus(status: ProgramStatus, event: ProgramEvent): ProgramStatus {
  const { from, to } = programs[event];
  if (!from.includes(status)) throw new StatusConflict(`${event} needs a program that is ${from.join(" or ")}; this one is ${status}`);
  return to;
}
