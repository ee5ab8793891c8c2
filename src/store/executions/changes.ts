import { ForeignKeyConstraintError, Op, UniqueConstraintError } from "sequelize";
import type { Annotations } from "../../domain/annotations.ts";
import { type Execution, executionEtag, type TokenUsage, type Values } from "../../domain/execution.ts";
import { EtagMismatch, NotFound, StatusConflict } from "../../domain/faults.ts";
import type { ExecutionStatus } from "../../domain/lifecycle.ts";
import type { RequestKey } from "../../domain/request.ts";
import { firstId } from "../../domain/uuid.ts";
import { slow } from "../connection/patience.ts";
import type { Database } from "../database.ts";
import type { Announce } from "../notifications/announcer.ts";
import { tokenColumnsOf } from "../token-columns.ts";
import { type ExecutionRows, executionOf } from "./row.ts";

/** A run outside sigrun. No gateway runs it, so it is under no lease. */
export type ExternalRun = Annotations & {
  readonly id: string;
  readonly programId: string;
  readonly revision: number;
  readonly status: "pending" | "running";
  readonly inputs: Values;
  readonly request: RequestKey | null;
  readonly startedAt: Date | null;
};

/** What a step of a run's lifecycle changes. */
export type ExecutionChanges = {
  readonly status: ExecutionStatus;
  readonly startedAt?: Date;
  readonly completedAt?: Date;
  readonly durationMs?: number;
  readonly outputs?: Values;
  readonly errorReason?: string;
  readonly errorMessage?: string;
  readonly tokenUsage?: TokenUsage;
  readonly model?: string;
};

export type ExecutionChangeStore = {
  /**
   * Inserts a run outside sigrun. Returns false and writes nothing if its request_id is on record.
   */
  insert(project: string, row: ExternalRun): Promise<boolean>;
  /**
   * Changes a run that has one of the statuses in `from`; undefined if it has another status or
   * does not exist. Scope "external" leaves alone runs that a gateway runs.
   */
  change(
    project: string,
    id: string,
    from: readonly ExecutionStatus[],
    changes: ExecutionChanges,
    scope: "external" | "any",
  ): Promise<Execution | undefined>;
  /** Replaces annotations. Throws EtagMismatch if an etag is given and is not the record's. */
  annotate(project: string, id: string, etag: string, changed: Partial<Annotations>): Promise<Execution>;
  /** Deletes the record of a run that has ended. Throws StatusConflict if it has not. */
  remove(project: string, id: string): Promise<void>;
  /**
   * Deletes some runs, of all projects, that were recorded before a time and have ended. Returns
   * how many it deleted.
   */
  removeBefore(before: Date): Promise<number>;
};

/**
 * Maximum number of rows of each project that one step deletes, so that a step takes milliseconds.
 */
const removeSize = 500;

// Skips rows that another transaction has locked; the next step deletes them.
const removeBeforeSql = `
  DELETE FROM sigrun.executions WHERE (project_id, id) IN (
    SELECT project_id, old.id FROM (SELECT DISTINCT project_id FROM sigrun.programs) AS project CROSS JOIN LATERAL (
      SELECT id FROM sigrun.executions WHERE project_id = project.project_id AND id < $1 AND completed_at IS NOT NULL
      ORDER BY id LIMIT ${removeSize} FOR UPDATE SKIP LOCKED
    ) AS old
  ) RETURNING id`;

/**
 * Changes the records of runs. The start and the end of a gateway's runs are written by
 * recorder.ts.
 */
export function createExecutionChanges(
  database: Database,
  Row: ExecutionRows,
  announce: Announce,
): ExecutionChangeStore {
  return {
    insert: (project, { request, ...row }) =>
      database.use(async () => {
        const key = {
          requestMethod: request?.method ?? null,
          requestId: request?.id ?? null,
          requestHash: request?.hash ?? null,
        };
        try {
          await Row.create({ projectId: project, attempt: 1, ...row, ...key }, { returning: false });
          announce(project);
          return true;
        } catch (error) {
          if (error instanceof UniqueConstraintError) return false;
          if (error instanceof ForeignKeyConstraintError) throw new NotFound("program", row.programId);
          throw error;
        }
      }),

    change: (project, id, from, { durationMs, tokenUsage, ...changes }, scope) =>
      database.use(async () => {
        const [, [row]] = await Row.update(
          {
            ...changes,
            ...(tokenUsage && tokenColumnsOf(tokenUsage)),
            ...(durationMs !== undefined && { durationMs: String(durationMs) }),
          },
          {
            where: {
              projectId: project,
              id,
              status: { [Op.in]: [...from] },
              ...(scope === "external" && { runnerId: null }),
            },
            returning: true,
          },
        );
        if (row) announce(project);
        return row && executionOf(row);
      }),

    async annotate(project, id, etag, changed) {
      const execution = await database.transact(async (transaction) => {
        const row = await Row.findOne({
          where: { projectId: project, id },
          transaction,
          lock: transaction.LOCK.UPDATE,
        });
        if (!row) throw new NotFound("execution", id);
        if (etag !== "" && etag !== executionEtag(executionOf(row))) throw new EtagMismatch("execution", id);
        return executionOf(await row.update(changed, { transaction }));
      });
      announce(project);
      return execution;
    },

    remove: (project, id) =>
      database.use(async () => {
        const where = { projectId: project, id };
        const deleted = await Row.destroy({ where: { ...where, completedAt: { [Op.ne]: null } } });
        if (deleted > 0) return announce(project);
        const row = await Row.findOne({ where });
        if (!row) throw new NotFound("execution", id);
        throw new StatusConflict(`can't delete execution ${id}: it is ${row.status}; cancel it first`);
      }),

    async removeBefore(before) {
      const step = { sql: removeBeforeSql, patience: slow };
      return (await database.rows(step, [firstId(before.toISOString())])).length;
    },
  };
}
