import { col, fn, literal, Op } from "sequelize";
import type { TokenUsage } from "../../domain/execution.ts";
import { type Fault, NotFound } from "../../domain/faults.ts";
import { type OptimizationEvent, optimizationStep } from "../../domain/lifecycle.ts";
import type { Optimization, OptimizationTask, Progress } from "../../domain/optimization/optimization.ts";
import type { Database } from "../database.ts";
import type { ProgramChanges } from "../programs/changes.ts";
import type { RevisionDraft } from "../programs/revisions.ts";
import { tokenColumnsOf } from "../token-columns.ts";
import { type OptimizationRow, type OptimizationRows, optimizationOf } from "./row.ts";

/**
 * An optimization that a gateway works on. `attempt` is the fence: a later gateway has a higher
 * number.
 */
export type Attempt = Optimization &
  OptimizationTask & { readonly project: string; readonly handedOver: number };

export type AttemptEnd = {
  readonly baselineScore: number;
  readonly score: number;
  readonly tokenUsage: TokenUsage;
  readonly message: string;
};

/**
 * Writes of an attempt. They return false or undefined, and write nothing, if a later attempt
 * exists.
 */
export type AttemptStore = {
  /** Starts an attempt at an optimization; undefined if it has ended or is gone. */
  begin(project: string, id: string): Promise<Attempt | undefined>;
  recordProgress(
    attempt: Attempt,
    progress: Progress & { readonly baselineScore: number | null; readonly tokenUsage: TokenUsage },
  ): Promise<boolean>;
  /** Leaves the optimization to another gateway. */
  handOver(attempt: Attempt): Promise<boolean>;
  fail(attempt: Attempt, fault: Fault): Promise<boolean>;
  /** Records the end and adds the revision, if there is one, in one transaction. */
  complete(
    attempt: Attempt,
    end: AttemptEnd,
    revision: RevisionDraft | undefined,
  ): Promise<Optimization | undefined>;
};

/** Thrown to roll back the writes of an attempt if a later one exists. */
class Superseded extends Error {}

export function createAttemptStore(
  database: Database,
  Row: OptimizationRows,
  changes: ProgramChanges,
): AttemptStore {
  const ifCurrent = ({ project, id, attempt }: Attempt, event: OptimizationEvent) => ({
    where: { projectId: project, id, attempt, status: { [Op.in]: [...optimizationStep(event).from] } },
  });

  async function write(
    attempt: Attempt,
    event: OptimizationEvent,
    values: Partial<OptimizationRow>,
  ): Promise<boolean> {
    const { to } = optimizationStep(event);
    const [written] = await database.use(() =>
      Row.update({ ...values, status: to }, ifCurrent(attempt, event)),
    );
    return written > 0;
  }

  return {
    begin: (project, id) =>
      database.use(async () => {
        const { from, to } = optimizationStep("start");
        const values = {
          status: to,
          attempt: literal("attempt + 1"),
          startedAt: fn("coalesce", col("started_at"), fn("now")),
        };
        const where = { projectId: project, id, status: { [Op.in]: [...from] } };
        const [, [row]] = await Row.update(values as never, { where, returning: true });
        if (!row) return undefined;
        const { trainset, valset, budget, keepWorse, lms, handedOver } = row;
        return { ...optimizationOf(row), trainset, valset, budget, keepWorse, lms, handedOver, project };
      }),

    recordProgress: (attempt, { tokenUsage, ...progress }) =>
      write(attempt, "start", { ...progress, ...tokenColumnsOf(tokenUsage) }),

    handOver: (attempt) => write(attempt, "hand over", { handedOver: attempt.handedOver + 1 }),

    fail: (attempt, { reason, message }) =>
      write(attempt, "fail", { completedAt: new Date(), errorReason: reason, errorMessage: message }),

    async complete(attempt, { tokenUsage, ...end }, draft) {
      const { project, programId } = attempt;
      try {
        return await database.transact(async (transaction) => {
          // Locks the program's row first, as its deletion does, so that the two can't deadlock.
          const revision = draft ? await changes.addRevision(project, programId, draft, transaction) : null;
          const values = {
            ...end,
            ...tokenColumnsOf(tokenUsage),
            revision,
            phase: "done",
            fraction: 1,
            completedAt: new Date(),
          };
          const [, [row]] = await Row.update(
            { ...values, status: optimizationStep("complete").to },
            { ...ifCurrent(attempt, "complete"), returning: true, transaction },
          );
          if (!row) throw new Superseded();
          return optimizationOf(row);
        });
      } catch (error) {
        // NotFound: the program was deleted, and its optimizations with it.
        if (error instanceof Superseded || error instanceof NotFound) return undefined;
        throw error;
      }
    },
  };
}
