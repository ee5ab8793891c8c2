import { addTokens } from "../../domain/execution.ts";
import { AttemptsExhausted, Cancelled, Fault, Interrupted, Stopping } from "../../domain/faults.ts";
import { budgetLeft, mostAttempts } from "../../domain/optimization/optimization.ts";
import { dspyProgramId } from "../../domain/program/program.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { OptimizeEvent } from "../../dspy/optimize.ts";
import { ifStoreAvailable, retryUntilStoreAvailable } from "../../retry.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import type { Attempt, AttemptStore } from "../../store/optimizations/attempts.ts";
import type { RevisionDraft, RevisionStore } from "../../store/programs/revisions.ts";
import type { Logger } from "../../telemetry.ts";

type Deps = {
  attempts: AttemptStore;
  revisions: RevisionStore;
  sidecar: Sidecar;
  notices: Notices;
  log: Logger;
};

/** The sidecar ends an optimization in time by itself; this is for one that hangs. */
const slackMs = 120_000;
/** What is no fault of the optimization's. */
const deaths: readonly string[] = ["SIDECAR_UNAVAILABLE", "STORE_UNAVAILABLE", "INTERRUPTED"];

/** Thrown to the queue where somebody else is to go on. */
export class RetryJob extends Error {}

/** Takes up an optimization and works on it to its end; RetryJob where that is for another attempt. */
export function createAttempt({ attempts, revisions, sidecar, notices, log }: Deps) {
  const underWay = new Map<string, AbortController>();
  notices.listen(({ kind, id }) => {
    if (kind === "cancel") underWay.get(id)?.abort(new Cancelled());
  });

  return async function attempt(project: string, id: string, stopping: AbortSignal): Promise<void> {
    // Before it counts as an attempt: it waits until the sidecar is back.
    if (!sidecar.info()) throw new RetryJob("the sidecar is away");
    const taken = await attempts.begin(project, id);
    if (!taken) return;
    const { attempt: number, optimizer, handedOver } = taken;
    if (number - handedOver > mostAttempts) {
      await attempts.fail(taken, new AttemptsExhausted(mostAttempts));
      log.error(
        { optimization: id, attempts: mostAttempts },
        "an optimization is given up: its attempts died",
      );
      announce(taken);
      return;
    }
    log.info({ optimization: id, attempt: number, optimizer }, "optimizing");
    announce(taken);
    const end = new AbortController();
    underWay.set(id, end);
    try {
      await work(taken, end, stopping);
    } catch (error) {
      await settle(taken, error, stopping);
    } finally {
      underWay.delete(id);
      announce(taken);
    }
  };

  async function work(taken: Attempt, end: AbortController, stopping: AbortSignal): Promise<void> {
    const { project, programId, baseRevision, tokenUsage: earlier, budget } = taken;
    const { definition, dspyProgramId } = await revisions.get(project, programId, baseRevision);
    const call = { ...taken, definition, dspyProgramId, budget: budgetLeft(budget, earlier) };
    const limits = { timeoutMs: budget.timeMs + slackMs, signal: AbortSignal.any([end.signal, stopping]) };
    for await (const event of sidecar.optimize(call, limits)) {
      const tokenUsage = addTokens(earlier, event.tokenUsage);
      if (event.kind === "result") return complete(taken, { ...event, tokenUsage });
      const { kind: _, ...progress } = event;
      // Progress that can't be written now is written with the next. Whoever no longer may go on finds out here: it was cancelled, or somebody else has it.
      if ((await ifStoreAvailable(() => attempts.note(taken, { ...progress, tokenUsage }))) === false)
        end.abort(new Cancelled());
      announce(taken);
    }
    throw new Interrupted();
  }

  /** What is better, or wanted all the same, becomes a revision. */
  async function complete(taken: Attempt, result: Extract<OptimizeEvent, { kind: "result" }>): Promise<void> {
    const { id, project, programId, baseRevision, keepWorse } = taken;
    const { compiledState, baselineScore, score, tokenUsage, message } = result;
    const isKept = score > baselineScore || keepWorse;
    const done = await onceBack(taken, async () => {
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
        taken,
        { baselineScore, score, tokenUsage, message },
        isKept ? draft : undefined,
      );
    });
    if (done) log.info({ optimization: id, baselineScore, score, revision: done.revision }, "optimized");
    else
      log.warn(
        { optimization: id, attempt: taken.attempt },
        "what an attempt came to is not kept: it is no longer the last one",
      );
  }

  /** Writes an end; a database that is away is waited for. */
  function onceBack<T>({ id }: Attempt, write: () => Promise<T>): Promise<T> {
    return retryUntilStoreAvailable(write, () =>
      log.warn({ optimization: id }, "the database is away; the end of an optimization waits for it"),
    );
  }

  /** One line in the log for whatever ends an attempt; a stack only for what nobody foresaw. */
  async function settle(taken: Attempt, error: unknown, stopping: AbortSignal): Promise<void> {
    const it = { optimization: taken.id, attempt: taken.attempt };
    if (stopping.aborted) {
      const isGiven = stopping.reason instanceof Stopping && (await attempts.handOver(taken));
      log.info(
        it,
        isGiven
          ? "an optimization is handed over to the next gateway"
          : "an attempt ends: its job is no longer this gateway's",
      );
      throw new RetryJob("this gateway no longer has it");
    }
    if (error instanceof Cancelled) {
      log.info(it, "an attempt ends: its optimization was cancelled, deleted or taken up elsewhere");
      return;
    }
    const fault = error instanceof Fault ? error : new Fault("INTERNAL", "internal error");
    const why = { ...it, reason: fault.reason, why: fault.message };
    if (deaths.includes(fault.reason)) {
      log.warn(why, "an attempt died; the optimization is taken up again");
      throw new RetryJob(fault.message);
    }
    if (fault.reason === "INTERNAL")
      log.error({ ...why, err: error }, "an optimization failed in a way nobody foresaw");
    else log.warn(why, "an optimization failed, and is not tried again");
    await onceBack(taken, () => attempts.fail(taken, fault));
  }

  function announce({ project, id }: Attempt): void {
    notices.send({ kind: "optimization", project, id }).catch(() => {});
  }
}
