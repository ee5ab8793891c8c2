import test from "ava";
import { StatusConflict } from "../../src/domain/faults.ts";
import {
  canRestart,
  checkProgramStep,
  executionConflict,
  executionStep,
  type ProgramEvent,
  type ProgramStatus,
  programStep,
} from "../../src/domain/lifecycle.ts";

const statuses: ProgramStatus[] = ["draft", "ready", "optimized", "deployed", "error"];
// docs/programs.md, row by row.
const table: Record<ProgramEvent, { from: ProgramStatus[]; to: ProgramStatus | "own" }> = {
  update: { from: statuses, to: "draft" },
  build: { from: ["draft", "error"], to: "ready" },
  fail: { from: ["draft", "ready", "optimized", "error"], to: "error" },
  optimize: { from: ["ready", "optimized"], to: "optimized" },
  deploy: { from: ["ready", "optimized"], to: "deployed" },
  undeploy: { from: ["deployed"], to: "own" },
};
for (const [event, { from, to }] of Object.entries(table) as [
  ProgramEvent,
  { from: ProgramStatus[]; to: ProgramStatus | "own" },
][])
  test(`${event} leads from ${from.join(", ")} to ${to}, and from nothing else`, (t) => {
    t.is(programStep(event).to, to);
    for (const status of statuses)
      if (from.includes(status)) t.notThrows(() => checkProgramStep(event, status, "it"));
      else
        t.throws(() => checkProgramStep(event, status, "it"), {
          instanceOf: StatusConflict,
          message: new RegExp(`is ${status}, and must be ${from[0]}`),
        });
  });

test("an execution changes its status from pending and running, and runs again if its process died", (t) => {
  t.deepEqual(executionStep("start"), { from: ["pending"], to: "running" });
  t.deepEqual(executionStep("complete"), { from: ["running"], to: "completed" });
  t.deepEqual(executionStep("fail"), { from: ["pending", "running"], to: "failed" });
  t.deepEqual(executionStep("cancel"), { from: ["pending", "running"], to: "cancelled" });
  t.deepEqual(executionStep("restart"), { from: ["failed"], to: "running" });
  for (const errorReason of ["INTERRUPTED", "SIDECAR_UNAVAILABLE"]) {
    t.true(canRestart({ status: "failed", errorReason }));
    t.false(canRestart({ status: "running", errorReason }));
  }
  t.false(canRestart({ status: "failed", errorReason: "OUTPUT_INVALID" }));
  t.false(canRestart({ status: "completed", errorReason: "" }));
  t.regex(
    executionConflict("complete", "failed", "x").message,
    /x can't become completed: it is failed, and must be running/,
  );
});
