import { setTimeout as sleep } from "node:timers/promises";
import type { Trace, Values } from "../../domain/execution.ts";
import { NotFound, StoreUnavailable, type Violation } from "../../domain/faults.ts";
import type { RequestKey } from "../../domain/request.ts";
import type { Logger } from "../../telemetry.ts";
import { createBatch } from "../batch.ts";
import { type Database, sqlStateOf } from "../database.ts";
import type { Announce } from "../notifications/announcer.ts";

/** A run that is about to begin. */
export type Start = {
  readonly project: string;
  readonly id: string;
  readonly programId: string;
  readonly revision: number;
  /** It is of whichever revision the program's callers get, and not of one that was named. */
  readonly isCurrent: boolean;
  readonly inputs: Values;
  readonly labels: Readonly<Record<string, string>>;
  readonly model: string;
  readonly request: RequestKey | null;
  readonly startedAt: Date;
};

/** How a run ended. */
export type End = {
  readonly project: string;
  readonly id: string;
  readonly status: "completed" | "failed" | "cancelled";
  readonly outputs: Values | null;
  readonly errorReason: string;
  readonly errorMessage: string;
  readonly violations: readonly Violation[];
  readonly trace: Trace;
  readonly completedAt: Date;
  readonly durationMs: number;
};

export type Recorder = {
  /**
   * Commits the run as running. False where its request_id stands on record already, where the program is gone, or where its callers get
   * another revision by now: then nothing was written.
   */
  start(run: Start): Promise<boolean>;
  /** Commits how the run ended. False where the record had ended before: then it stands as it was. */
  end(run: End): Promise<boolean>;
  /** Resolves once nothing waits to be recorded any more. */
  idle(): Promise<void>;
};

/** Rows that share a commit at most. A row waits for the commit before its own, never for a timer. */
const batchLimit = 200;
/** How long a caller waits for a database that is away before it is told; what it waited for is recorded later all the same. */
const patienceMs = 10_000;
const retryMs = 250;
const foreignKeyState = "23503";

type Deps = { runnerId: string; announce: Announce; log: Logger };

/** Records runs for one gateway process, many in a commit. */
export function createRecorder(database: Database, { runnerId, announce, log }: Deps): Recorder {
  const write = async (statement: { sql: string; name?: string }, rows: readonly object[]) => {
    const written = await database.rows<{ id: string }>(statement, [storableJson(rows), runnerId]);
    return new Set(written.map(({ id }) => id));
  };
  const insert = createBatch<Start, boolean>(async (runs) => {
    const ids = await write({ sql: insertSql, name: "begin runs" }, runs.map(startRow));
    announceAll(runs);
    return runs.map(({ id }) => ids.has(id));
  }, batchLimit);
  const update = createBatch<End, boolean>(async (ends) => {
    const ids = await write({ sql: updateSql, name: "end runs" }, ends.map(endRow));
    announceAll(ends);
    return ends.map(({ id }) => ids.has(id));
  }, batchLimit);

  const announceAll = (rows: readonly { project: string }[]) => {
    for (const project of new Set(rows.map((row) => row.project))) announce(project);
  };

  const owed = new Set<Promise<unknown>>();

  /** Until it is done: this gateway holds a lease, so nobody else would ever end the run. */
  function persist<T>(execution: string, work: () => Promise<T>): Promise<T> {
    const attempt = async (): Promise<T> => {
      for (let warned = false; ; warned = true) {
        try {
          return await work();
        } catch (error) {
          if (!(error instanceof StoreUnavailable)) throw error;
          if (!warned)
            log.warn(
              { execution },
              "the database is away; this run's record is written as soon as it is back",
            );
          await sleep(retryMs);
        }
      }
    };
    const done = attempt().finally(() => owed.delete(done));
    owed.add(done);
    done.catch(() => {});
    return done;
  }

  return {
    async start(run) {
      try {
        return await insert(run);
      } catch (error) {
        // A commit that broke off may have been made; the caller is told that nothing ran, so nothing may stay.
        if (sqlStateOf(error) === foreignKeyState) throw new NotFound("program", run.programId);
        if (error instanceof StoreUnavailable)
          persist(run.id, () => write({ sql: deleteSql }, [{ project_id: run.project, id: run.id }]));
        throw error;
      }
    },

    end: (run) =>
      new Promise((resolve, reject) => {
        const patience = setTimeout(() => reject(new StoreUnavailable()), patienceMs);
        persist(run.id, () => update(run))
          .then(resolve, reject)
          .finally(() => clearTimeout(patience));
      }),

    async idle() {
      while (owed.size > 0) await Promise.allSettled(owed);
    },
  };
}

/** PostgreSQL's jsonb refuses NUL and lone surrogates, which a model may write: they become U+FFFD in what is kept of its words. */
function storableJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!/\\u(0000|d[89a-f])/.test(text)) return text;
  return JSON.stringify(value, (_key, part) =>
    typeof part === "string" ? part.toWellFormed().replaceAll("\0", "\ufffd") : part,
  );
}

const startRow = (run: Start) => ({
  project_id: run.project,
  id: run.id,
  program_id: run.programId,
  revision: run.revision,
  is_current: run.isCurrent,
  inputs: run.inputs,
  labels: run.labels,
  model: run.model,
  request_method: run.request?.method ?? null,
  request_id: run.request?.id ?? null,
  request_hash: run.request?.hash ?? null,
  started_at: run.startedAt,
});

// One parameter, however many rows. A request_id that stands already is left out, and so not returned; so is a run of what was read of its
// program before, where that is no longer so.
const insertSql = `
  INSERT INTO executions (project_id, id, program_id, revision, status, inputs, labels, model, request_method, request_id, request_hash,
                          runner_id, started_at, updated_at)
  SELECT run.project_id, run.id, run.program_id, run.revision, 'running', run.inputs, run.labels, run.model, run.request_method,
         run.request_id, run.request_hash, $2::uuid, run.started_at, run.started_at
  FROM jsonb_to_recordset($1::jsonb) AS run (project_id uuid, id uuid, program_id uuid, revision integer, is_current boolean, inputs jsonb,
       labels jsonb, model text, request_method text, request_id uuid, request_hash text, started_at timestamptz)
  JOIN programs AS program ON program.project_id = run.project_id AND program.id = run.program_id
       AND (NOT run.is_current OR coalesce(program.deployed_revision, program.newest_revision) = run.revision)
  ON CONFLICT (project_id, request_method, request_id) DO NOTHING
  RETURNING id`;

const endRow = (run: End) => ({
  project_id: run.project,
  id: run.id,
  status: run.status,
  outputs: run.outputs,
  error_reason: run.errorReason,
  error_message: run.errorMessage,
  violations: run.violations,
  steps: run.trace.steps,
  input_tokens: run.trace.tokenUsage.inputTokens,
  output_tokens: run.trace.tokenUsage.outputTokens,
  cached_tokens: run.trace.tokenUsage.cachedTokens,
  lm_calls: run.trace.tokenUsage.lmCalls,
  model: run.trace.model,
  completed_at: run.completedAt,
  duration_ms: run.durationMs,
});

// Only what this process still runs: a run that was swept or cancelled meanwhile stays as it is. It is found by its key alone, however many
// run or how many rows there are, since no index serves the other conditions as they are written; those on `run` always hold, and tell the
// planner that its rows are few, or it would make a plan to read the whole table while that is small, and keep it.
const updateSql = `
  UPDATE executions AS e
  SET status = run.status, outputs = run.outputs, error_reason = run.error_reason, error_message = run.error_message,
      violations = run.violations, steps = run.steps, input_tokens = run.input_tokens, output_tokens = run.output_tokens,
      cached_tokens = run.cached_tokens, lm_calls = run.lm_calls, model = coalesce(nullif(run.model, ''), e.model),
      completed_at = run.completed_at, duration_ms = run.duration_ms, updated_at = run.completed_at
  FROM jsonb_to_recordset($1::jsonb) AS run (project_id uuid, id uuid, status text, outputs jsonb, error_reason text, error_message text,
       violations json, steps json, input_tokens bigint, output_tokens bigint, cached_tokens bigint, lm_calls bigint, model text,
       completed_at timestamptz, duration_ms bigint)
  WHERE e.project_id = run.project_id AND e.id = run.id AND e.completed_at IS NULL AND e.runner_id IS NOT DISTINCT FROM $2::uuid
    AND run.status IN ('completed', 'failed', 'cancelled') AND run.duration_ms >= 0
  RETURNING e.id`;

const deleteSql = `
  DELETE FROM executions AS e
  USING jsonb_to_recordset($1::jsonb) AS run (project_id uuid, id uuid)
  WHERE e.project_id = run.project_id AND e.id = run.id AND e.status = 'running' AND e.runner_id = $2
  RETURNING e.id`;
