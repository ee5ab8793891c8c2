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

/** How long the gateway that runs it may take to end it; after that its record is ended without it. */
const patienceMs = 3_000;
const pollMs = 25;
const repeatMs = 500;

/** Ends a run early, on whichever gateway it is under way, and gives its record. */
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
    const took = startedAt && { durationMs: Math.max(0, now.getTime() - startedAt.getTime()) };
    const end = {
      status: to,
      completedAt: now,
      errorReason: "CANCELLED",
      errorMessage: new Cancelled().message,
      ...took,
    };
    // One that goes on elsewhere is nothing but its record.
    return (
      (await changes.change(project, id, from, end, "elsewhere")) ??
      (await waitForEnd(project, id)) ??
      (await changes.change(project, id, from, end, "anybody's")) ??
      (await ended(project, id))
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

  /** Tells the gateway that runs it, again and again: it may just be about to begin. Undefined where nothing came of it. */
  async function waitForEnd(project: string, id: string): Promise<Execution | undefined> {
    const began = performance.now();
    for (let told = Number.NEGATIVE_INFINITY; performance.now() - began < patienceMs; await sleep(pollMs)) {
      if (!inFlight.cancel(id, new Cancelled()) && performance.now() - told > repeatMs) {
        await notices.send({ kind: "cancel", project, id });
        told = performance.now();
      }
      const { completedAt } = await executions.get(project, id);
      if (completedAt) return ended(project, id);
    }
    return undefined;
  }

  /** It may have ended by itself in the meantime. */
  async function ended(project: string, id: string): Promise<Execution> {
    const execution = await executions.get(project, id);
    if (execution.status !== "cancelled") throw executionConflict("cancel", execution.status, id);
    return execution;
  }
}
