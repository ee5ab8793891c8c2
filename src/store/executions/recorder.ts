import { noTrace } from "../../domain/execution.ts";
import { NotFound, StoreUnavailable } from "../../domain/faults.ts";
import { retryUntilStoreAvailable } from "../../retry.ts";
import type { Logger } from "../../telemetry.ts";
import { type Database, sqlStateOf } from "../database.ts";
import { createGroupCommit } from "../group-commit.ts";
import type { Announce } from "../notifications/announcer.ts";
import type { RunEnd, RunStart } from "./run.ts";
import { deleteSql, endRow, insertSql, restartSql, startRow, updateSql } from "./statements.ts";

export type Recorder = {
  /**
   * Commits the run as running. Returns false and writes nothing if its request_id is on record, if
   * the program is gone, or if `mustBeCurrent` is set and the program's current revision changed.
   */
  start(run: RunStart): Promise<boolean>;
  /**
   * Commits that a failed run runs again, as the attempt in `run`. Returns false and changes
   * nothing if another call started that attempt.
   */
  restart(run: RunStart): Promise<boolean>;
  /**
   * Commits how the run ended. Returns false and changes nothing if the record had ended before.
   */
  end(run: RunEnd): Promise<boolean>;
  /** Resolves when every start and end is recorded. */
  idle(): Promise<void>;
};

/**
 * Maximum number of rows in a commit. A row waits for the commit before its own, never for a timer.
 */
const maxBatch = 200;
/**
 * After this time without a database the caller is told UNAVAILABLE. The record is written anyway.
 */
const callerWaitMs = 10_000;
const foreignKeyState = "23503";

type Deps = { runnerId: string; announce: Announce; log: Logger };

/** Records the runs of one gateway process. Runs that start or end together share a commit. */
export function createRecorder(database: Database, { runnerId, announce, log }: Deps): Recorder {
  const write = async (statement: { sql: string; name?: string }, rows: readonly object[]) => {
    const written = await database.rows<{ id: string }>(statement, [storableJson(rows), runnerId]);
    return new Set(written.map(({ id }) => id));
  };
  const insert = createGroupCommit<RunStart, boolean>(async (runs) => {
    const ids = await write({ sql: insertSql, name: "begin runs" }, runs.map(startRow));
    announceAll(runs);
    return runs.map(({ id }) => ids.has(id));
  }, maxBatch);
  const update = createGroupCommit<RunEnd, boolean>(async (ends) => {
    const ids = await write({ sql: updateSql, name: "end runs" }, ends.map(endRow));
    announceAll(ends);
    return ends.map(({ id }) => ids.has(id));
  }, maxBatch);

  const announceAll = (rows: readonly { project: string }[]) => {
    for (const project of new Set(rows.map((row) => row.project))) announce(project);
  };

  const pending = new Set<Promise<unknown>>();

  /**
   * Retries every 250 ms, without end. An outage stops the renewal of this gateway's lease too. If
   * it lasts longer than the lease (15 s) and there is another gateway, that gateway's sweep may
   * come first: then INTERRUPTED stays on record, and the late end changes nothing.
   */
  function persist<T>(execution: string, work: () => Promise<T>): Promise<T> {
    const done = retryUntilStoreAvailable(work, () =>
      log.warn({ execution }, "the database is away; this run's record is written as soon as it is back"),
    ).finally(() => pending.delete(done));
    pending.add(done);
    done.catch(() => {});
    return done;
  }

  return {
    async start(run) {
      try {
        return await insert(run);
      } catch (error) {
        if (sqlStateOf(error) === foreignKeyState) throw new NotFound("program", run.programId);
        // The commit may have been made before the connection broke. The caller learns that nothing
        // ran, so a row that was inserted is deleted.
        if (error instanceof StoreUnavailable)
          persist(run.id, () => write({ sql: deleteSql }, [{ project_id: run.project, id: run.id }]));
        throw error;
      }
    },

    async restart(run) {
      const { project, id, attempt, startedAt, model } = run;
      try {
        const bind = [project, id, attempt, runnerId, startedAt, model];
        const restarted = await database.rows<{ id: string }>({ sql: restartSql }, bind);
        announce(project);
        return restarted.length > 0;
      } catch (error) {
        // As at a start: the commit may have been made, and nothing runs.
        if (error instanceof StoreUnavailable) persist(id, () => update(interruptedEnd(run)));
        throw error;
      }
    },

    end: (run) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new StoreUnavailable()), callerWaitMs);
        persist(run.id, () => update(run))
          .then(resolve, reject)
          .finally(() => clearTimeout(timer));
      }),

    async idle() {
      while (pending.size > 0) await Promise.allSettled(pending);
    },
  };
}

/** The end of an attempt that never ran. */
const interruptedEnd = ({ project, id, attempt, startedAt }: RunStart): RunEnd => ({
  project,
  id,
  attempt,
  status: "failed",
  outputs: null,
  errorReason: "INTERRUPTED",
  errorMessage: "the database went away as it began",
  violations: [],
  trace: noTrace,
  completedAt: startedAt,
  durationMs: 0,
});

/**
 * JSON for PostgreSQL. jsonb refuses NUL and lone surrogates, which models may write: they become
 * U+FFFD.
 */
function storableJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!/\\u(0000|d[89a-f])/.test(text)) return text;
  return JSON.stringify(value, (_key, part) =>
    typeof part === "string" ? part.toWellFormed().replaceAll("\0", "\ufffd") : part,
  );
}
