import { addTokens } from "../../domain/execution.ts";
import { AttemptsExhausted, Cancelled, Fault, Interrupted, Stopping } from "../../domain/faults.ts";
import { budgetLeft, maxAttempts } from "../../domain/optimization/optimization.ts";
import { dspyProgramId } from "../../domain/program/program.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { OptimizeEvent } from "../../dspy/optimize.ts";
import { ifStoreAvailable, retryUntilStoreAvailable } from "../../retry.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import type { Attempt, AttemptStore } from "../../store/optimizations/attempts.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { RevisionDraft, RevisionStore } from "../../store/programs/revisions.ts";
import type { Logger } from "../../telemetry.ts";

type Deps = {
  attempts: AttemptStore;
  programs: ProgramStore;
  revisions: RevisionStore;
  sidecar: Sidecar;
  notices: Notices;
  log: Logger;
};

/** Added to the time budget: the sidecar keeps the budget itself, unless it hangs. */
const slackMs = 120_000;
/** Faults that end an attempt, but not its optimization. */
const retryable: readonly string[] = ["SIDECAR_UNAVAILABLE", "STORE_UNAVAILABLE", "INTERRUPTED"];

/** Thrown to the queue, which gives the job out again, to this gateway or another one. */
export class RetryJob extends Error {}

/** Makes one attempt at an optimization; throws RetryJob if another attempt is to go on. */
export function createAttempt({ attempts, programs, revisions, sidecar, notices, log }: Deps) {
  const inFlight = new Map<string, AbortController>();
  notices.listen(({ kind, id }) => {
    if (kind === "cancel") inFlight.get(id)?.abort(new Cancelled());
  });

  return async function attempt(project: string, id: string, stopping: AbortSignal): Promise<void> {
    // Thrown before the attempt is counted: the job waits until the sidecar is back.
    if (!sidecar.info()) throw new RetryJob("the sidecar is away");
    const current = await attempts.begin(project, id);
    if (!current) return;
    const { attempt: number, optimizer, handedOver } = current;
    if (number - handedOver > maxAttempts) {
      await attempts.fail(current, new AttemptsExhausted(maxAttempts));
      log.error({ optimization: id, attempts: maxAttempts }, "an optimization failed: all its attempts died");
      announce(current);
      return;
    }
    log.info({ optimization: id, attempt: number, optimizer }, "an attempt at an optimization starts");
    announce(current);
    const end = new AbortController();
    inFlight.set(id, end);
    try {
      await work(current, end, stopping);
    } catch (error) {
      await settle(current, error, stopping);
    } finally {
      inFlight.delete(id);
      announce(current);
    }
  };

  async function work(current: Attempt, end: AbortController, stopping: AbortSignal): Promise<void> {
    const { project, programId, baseRevision, tokenUsage: earlier, budget } = current;
    const { program, revision } = await programs.getRevision(project, programId, baseRevision);
    const { definition, dspyProgramId } = revision;
    const left = budgetLeft(budget, earlier);
    const call = { ...current, handle: program.handle, definition, dspyProgramId, budget: left };
    const limits = { timeoutMs: budget.timeMs + slackMs, signal: AbortSignal.any([end.signal, stopping]) };
    for await (const event of sidecar.optimize(call, limits)) {
      const tokenUsage = addTokens(earlier, event.tokenUsage);
      if (event.kind === "result") return complete(current, { ...event, tokenUsage });
      const { kind: _, ...progress } = event;
      // A failed write is made up for by the next progress. `false` means that the optimization was
      // cancelled or deleted, or that another attempt took it over.
      if (
        (await ifStoreAvailable(() => attempts.recordProgress(current, { ...progress, tokenUsage }))) ===
        false
      )
        end.abort(new Cancelled());
      announce(current);
    }
    throw new Interrupted();
  }

  /** Makes a revision if the score is better than the baseline, or if the caller set keep_worse. */
  async function complete(
    current: Attempt,
    result: Extract<OptimizeEvent, { kind: "result" }>,
  ): Promise<void> {
    const { id, project, programId, baseRevision, keepWorse } = current;
    const { compiledState, baselineScore, score, tokenUsage, message } = result;
    const isKept = score > baselineScore || keepWorse;
    const done = await writeEnd(current, async () => {
      const base = await revisions.get(project, programId, baseRevision);
      const definition = { ...base.definition, compiledState };
      const draft: RevisionDraft = {
        origin: "optimized",
        status: "optimized",
        definition,
        dspyProgramId: dspyProgramId(definition),
        score,
        optimizationId: id,
      };
      return attempts.complete(
        current,
        { baselineScore, score, tokenUsage, message },
        isKept ? draft : undefined,
      );
    });
    if (done)
      log.info(
        { optimization: id, baselineScore, score, revision: done.revision },
        "an optimization completed",
      );
    else
      log.warn(
        { optimization: id, attempt: current.attempt },
        "dropped the result of an attempt: another attempt took over, or the optimization has ended",
      );
  }

  /** Retries the write until the database is back. */
  function writeEnd<T>({ id }: Attempt, write: () => Promise<T>): Promise<T> {
    return retryUntilStoreAvailable(write, () =>
      log.warn({ optimization: id }, "the database is away; retrying to record the end of an optimization"),
    );
  }

  /** Logs the error that ended an attempt, and records it or leaves the job to another attempt. */
  async function settle(current: Attempt, error: unknown, stopping: AbortSignal): Promise<void> {
    const fields = { optimization: current.id, attempt: current.attempt };
    if (stopping.aborted) {
      const isHandedOver = stopping.reason instanceof Stopping && (await attempts.handOver(current));
      log.info(
        fields,
        isHandedOver
          ? "handed an optimization over to the next gateway"
          : "an attempt ends: the queue gave its job to another gateway",
      );
      throw new RetryJob("this gateway no longer has the job");
    }
    if (error instanceof Cancelled) {
      log.info(
        fields,
        "an attempt ends: its optimization was cancelled, deleted or taken over by another gateway",
      );
      return;
    }
    const fault = error instanceof Fault ? error : new Fault("INTERNAL", "internal error");
    const why = { ...fields, reason: fault.reason, why: fault.message };
    if (retryable.includes(fault.reason)) {
      log.warn(why, "an attempt died; the optimization will be attempted again");
      throw new RetryJob(fault.message);
    }
    if (fault.reason === "INTERNAL")
      log.error({ ...why, err: error }, "an optimization failed with an unexpected error");
    else log.warn(why, "an optimization failed; it is not attempted again");
    await writeEnd(current, () => attempts.fail(current, fault));
  }

  function announce({ project, id }: Attempt): void {
    notices.send({ kind: "optimization", project, id }).catch(() => {});
  }
}
