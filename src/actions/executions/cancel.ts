import { setTimeout as sleep } from "node:timers/promises";
import type { Execution } from "../../domain/execution.ts";
import { Cancelled, NotFound } from "../../domain/faults.ts";
import { executionConflict, executionStep } from "../../domain/lifecycle.ts";
import { checkUuid } from "../../domain/uuid.ts";
import type { ExecutionChangeStore } from "../../store/executions/changes.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import type { InFlightRuns } from "./in-flight.ts";

export type CancelKey = { readonly id: string } | { readonly requestId: string };

type Deps = {
  executions: ExecutionStore;
  changes: ExecutionChangeStore;
  inFlight: InFlightRuns<Execution>;
  notices: Notices;
};

/** Time-out for the running gateway. After that this gateway ends the record itself. */
const timeoutMs = 3_000;
const pollMs = 25;
const repeatMs = 500;

/** Cancels a run, whichever gateway runs it, and gives its record. */
export function createCancel({ executions, changes, inFlight, notices }: Deps) {
  notices.listen(({ kind, id }) => {
    if (kind === "cancel") inFlight.cancel(id, new Cancelled());
  });

  return async function cancel(project: string, key: CancelKey): Promise<Execution> {
    const id = await idOf(project, key);
    const { status, startedAt, completedAt } = await executions.get(project, id);
    if (completedAt) throw executionConflict("cancel", status, id);
    const { from, to } = executionStep("cancel");
    const now = new Date();
    const duration = startedAt && { durationMs: Math.max(0, now.getTime() - startedAt.getTime()) };
    const end = {
      status: to,
      completedAt: now,
      errorReason: "CANCELLED",
      errorMessage: new Cancelled().message,
      ...duration,
    };
    // An external run has no process to stop: changing its record is enough.
    return (
      (await changes.change(project, id, from, end, "external")) ??
      (await waitForEnd(project, id)) ??
      (await changes.change(project, id, from, end, "any")) ??
      (await cancelledRecord(project, id))
    );
  };

  async function idOf(project: string, key: CancelKey): Promise<string> {
    if ("id" in key) {
      checkUuid(key.id, "id");
      return key.id;
    }
    checkUuid(key.requestId, "request_id");
    const id = await executions.findRunning(project, key.requestId);
    if (!id) throw new NotFound("execution with request_id", key.requestId);
    return id;
  }

  /**
   * Notifies the running gateway repeatedly, since the run may be just about to start there.
   * Undefined if the run did not end in time.
   */
  async function waitForEnd(project: string, id: string): Promise<Execution | undefined> {
    const startedAt = performance.now();
    let notifiedAt = Number.NEGATIVE_INFINITY;
    for (; performance.now() - startedAt < timeoutMs; await sleep(pollMs)) {
      if (!inFlight.cancel(id, new Cancelled()) && performance.now() - notifiedAt > repeatMs) {
        await notices.send({ kind: "cancel", project, id });
        notifiedAt = performance.now();
      }
      const { completedAt } = await executions.get(project, id);
      if (completedAt) return cancelledRecord(project, id);
    }
    return undefined;
  }

  /** The record of the cancelled run; StatusConflict if the run ended by itself meanwhile. */
  async function cancelledRecord(project: string, id: string): Promise<Execution> {
    const execution = await executions.get(project, id);
    if (execution.status !== "cancelled") throw executionConflict("cancel", execution.status, id);
    return execution;
  }
}
