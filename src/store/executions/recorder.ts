import { NotFound, StoreUnavailable } from "../../domain/faults.ts";
import { retryUntilStoreAvailable } from "../../retry.ts";
import type { Logger } from "../../telemetry.ts";
import { createBatch } from "../batch.ts";
import { type Database, sqlStateOf } from "../database.ts";
import type { Announce } from "../notifications/announcer.ts";
import type { RunEnd, RunStart } from "./run.ts";
import { deleteSql, endRow, insertSql, startRow, updateSql } from "./statements.ts";

export type Recorder = {
  /**
   * Commits the run as running. False where its request_id stands on record already, where the program is gone, or where its callers get
   * another revision by now: then nothing was written.
   */
  start(run: RunStart): Promise<boolean>;
  /** Commits how the run ended. False where the record had ended before: then it stands as it was. */
  end(run: RunEnd): Promise<boolean>;
  /** Resolves once nothing waits to be recorded any more. */
  idle(): Promise<void>;
};

/** Rows that share a commit at most. A row waits for the commit before its own, never for a timer. */
const batchLimit = 200;
/** How long a caller waits for a database that is away before it is told; what it waited for is recorded later all the same. */
const patienceMs = 10_000;
const foreignKeyState = "23503";

type Deps = { runnerId: string; announce: Announce; log: Logger };

/** Records runs for one gateway process, many in a commit. */
export function createRecorder(database: Database, { runnerId, announce, log }: Deps): Recorder {
  const write = async (statement: { sql: string; name?: string }, rows: readonly object[]) => {
    const written = await database.rows<{ id: string }>(statement, [storableJson(rows), runnerId]);
    return new Set(written.map(({ id }) => id));
  };
  const insert = createBatch<RunStart, boolean>(async (runs) => {
    const ids = await write({ sql: insertSql, name: "begin runs" }, runs.map(startRow));
    announceAll(runs);
    return runs.map(({ id }) => ids.has(id));
  }, batchLimit);
  const update = createBatch<RunEnd, boolean>(async (ends) => {
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
    const done = retryUntilStoreAvailable(work, () =>
      log.warn({ execution }, "the database is away; this run's record is written as soon as it is back"),
    ).finally(() => owed.delete(done));
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
