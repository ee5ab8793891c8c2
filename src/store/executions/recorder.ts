import { noTrace } from "../../domain/execution.ts";
import { NotFound, StoreUnavailable } from "../../domain/faults.ts";
import { retryUntilStoreAvailable } from "../../retry.ts";
import type { Logger } from "../../telemetry.ts";
import { isRefusedValue, sqlStateOf } from "../connection/outage.ts";
import { patienceFor } from "../connection/patience.ts";
import type { Database } from "../database.ts";
import { createGroupCommit } from "../group-commit.ts";
import type { Announce } from "../notifications/announcer.ts";
import { withoutValues } from "./refused-end.ts";
import type { RunEnd, RunStart } from "./run.ts";
import { deleteSql, endRow, insertSql, restartSql, startRow, updateSql } from "./statements.ts";
import { storableJson } from "./storable-json.ts";

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
   * Commits how the run ended, and returns the end that is on record now. Undefined, and changes
   * nothing, if the record had ended before.
   */
  end(run: RunEnd): Promise<RunEnd | undefined>;
  /** True while the start, the end or the removal of a run still has to be written. */
  isWriting(id: string): boolean;
  /** Resolves when every start and end is recorded. */
  idle(): Promise<void>;
};

/**
 * Maximum number of rows in a commit. A row waits for the commit before its own, never for a timer.
 */
const maxBatch = 200;
/** Maximum size of a commit, so that it takes at most seconds. */
const maxBatchBytes = 8 * 2 ** 20;
/**
 * After this time without a database the caller is told UNAVAILABLE. The record is written anyway.
 */
const callerWaitMs = 9_000;
const foreignKeyState = "23503";

/** A row in JSON, made once: its size decides which rows share a commit. */
type Row = { readonly project: string; readonly id: string; readonly json: string };
type Deps = { runnerId: string; announce: Announce; log: Logger };

/** Records the runs of one gateway process. Runs that start or end together share a commit. */
export function createRecorder(database: Database, { runnerId, announce, log }: Deps): Recorder {
  function createWriter(sql: string, name: string): (row: Row) => Promise<boolean> {
    const bytesOf = ({ json }: Row) => json.length;
    return createGroupCommit<Row, boolean>(
      async (rows) => {
        const json = `[${rows.map((row) => row.json).join(",")}]`;
        const statement = { sql, name, patience: patienceFor(json.length) };
        const ids = new Set(
          (await database.rows<{ id: string }>(statement, [json, runnerId])).map(({ id }) => id),
        );
        for (const project of new Set(rows.map((row) => row.project))) announce(project);
        return rows.map(({ id }) => ids.has(id));
      },
      { maxItems: maxBatch, maxBytes: maxBatchBytes, bytesOf },
    );
  }
  const insert = createWriter(insertSql, "begin runs");
  const update = createWriter(updateSql, "end runs");

  /** The last write of each run, until it is done. */
  const writing = new Map<string, Promise<unknown>>();

  function track<T>(id: string, write: Promise<T>): Promise<T> {
    const done = write
      .catch(() => {})
      .then(() => {
        if (writing.get(id) === done) writing.delete(id);
      });
    writing.set(id, done);
    return write;
  }

  /** Retries until the database takes the write, whatever kept it from that. */
  const persist = <T>(execution: string, work: () => Promise<T>): Promise<T> =>
    track(
      execution,
      retryUntilStoreAvailable(work, (error) =>
        log.warn(
          { execution, err: error.cause },
          "the database is away; this run's record is written as soon as it is back",
        ),
      ),
    );

  /**
   * Writes an end. If the database refuses its values, writes it as failed, with what the database
   * takes: a record that stays running would be worse. Other errors are the database's own: a right
   * that was revoked, a corrupt index.
   */
  async function writeEnd(run: RunEnd): Promise<RunEnd | undefined> {
    const { project, id } = run;
    const write = async (end: RunEnd) =>
      (await update({ project, id, json: storableJson(endRow(end)) })) ? end : undefined;
    try {
      return await write(run);
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error;
      if (!isRefusedValue(error)) throw new StoreUnavailable(error);
      log.error(
        { err: error, execution: id },
        "the database refuses what an execution made; it ends as failed",
      );
      return await write(withoutValues(run)).catch((again: unknown) => {
        throw again instanceof StoreUnavailable ? again : new StoreUnavailable(again);
      });
    }
  }

  return {
    async start(run) {
      const { project, id, programId } = run;
      try {
        return await track(id, insert({ project, id, json: storableJson(startRow(run)) }));
      } catch (error) {
        if (sqlStateOf(error) === foreignKeyState) throw new NotFound("program", programId);
        // The commit may have been made before the connection broke. The caller learns that nothing
        // ran, so a row that was inserted is deleted.
        if (error instanceof StoreUnavailable) {
          const row = JSON.stringify([{ project_id: project, id }]);
          persist(id, () => database.rows({ sql: deleteSql }, [row, runnerId])).catch(() => {});
        }
        throw error;
      }
    },

    async restart(run) {
      const { project, id, attempt, startedAt, model } = run;
      try {
        const bind = [project, id, attempt, runnerId, startedAt, model];
        const restarted = await track(id, database.rows<{ id: string }>({ sql: restartSql }, bind));
        announce(project);
        return restarted.length > 0;
      } catch (error) {
        // As at a start: the commit may have been made, and nothing runs.
        if (error instanceof StoreUnavailable)
          persist(id, () => writeEnd(interruptedEnd(run))).catch(() => {});
        throw error;
      }
    },

    end: (run) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new StoreUnavailable()), callerWaitMs);
        persist(run.id, () => writeEnd(run))
          .then(resolve, reject)
          .finally(() => clearTimeout(timer));
      }),

    isWriting: (id) => writing.has(id),

    async idle() {
      while (writing.size > 0) await Promise.all(writing.values());
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
