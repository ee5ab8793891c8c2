import pLimit from "p-limit";
import type { Execution } from "../../domain/execution.ts";
import type { Condition } from "../../domain/query/condition.ts";
import { type Cursor, cursorFault } from "../../domain/query/cursor.ts";
import { sqlStateOf } from "../connection/outage.ts";
import { slow } from "../connection/patience.ts";
import type { Database } from "../database.ts";
import { type ExecutionRow, executionOf } from "../executions/row.ts";
import { Binds } from "../query/where.ts";
import { changesSql, forgetChangesSql, forgetMarksSql } from "./sql.ts";

/**
 * A change with the cursor right after it: the execution as it was then, or the id of a deleted
 * one.
 */
export type Change = { readonly cursor: Cursor } & (
  | { readonly execution: Execution }
  | { readonly deletedId: string }
);

/** The changes after a cursor. */
export type Changes = {
  readonly changes: readonly Change[];
  /** The cursor after all changes that were read, whether they met the condition or not. */
  readonly next: Cursor;
  /** False if more changes are known to follow. */
  readonly isAll: boolean;
  /** True if changes after the cursor were forgotten; `next` is then after all changes. */
  readonly isForgotten: boolean;
};

export type ChangeLog = {
  /** The cursor after all that is committed. */
  now(): Promise<Cursor>;
  /**
   * The next changes that meet the condition, in order; their number and their size are bounded.
   */
  read(project: string, cursor: Cursor, where: Condition | null, withValues: boolean): Promise<Changes>;
  /** Marks the current end of the log. */
  mark(): Promise<void>;
  /** Forgets some changes from before the last mark of that age. Returns how many it forgot. */
  forget(olderThanMs: number): Promise<number>;
};

/** Maximum number of changes that one step reads. */
const readSize = 200;
/** Maximum number of changes that one step forgets. */
const forgetSize = 5_000;
/** Maximum number of watchers that read at the same time. */
const maxReaders = 2;

/** Reads and prunes the log that PostgreSQL's triggers write. */
export function createChangeLog(database: Database): ChangeLog {
  const limit = pLimit(maxReaders);
  const run = <Found extends object>(sql: string, bind: unknown[] = []) =>
    database.rows<Found>({ sql, patience: slow }, bind);

  return {
    async now() {
      const [found] = await database.rows<{ now: string }>({
        sql: "SELECT pg_current_snapshot()::text AS now",
      });
      return from(found?.now as string);
    },

    async read(project, cursor, where, withValues) {
      const binds = new Binds();
      const sql = changesSql(binds, { project, cursor, where, withValues, limit: readSize });
      try {
        return changesOf(await limit(() => database.slowRows<ChangeRow>(sql, binds.values)), cursor);
      } catch (error) {
        // The cursor is not one of ours.
        if (sqlStateOf(error)?.startsWith("22")) throw cursorFault();
        throw error;
      }
    },

    async mark() {
      await run("INSERT INTO sigrun.change_marks (snapshot) VALUES (pg_current_snapshot())");
    },

    async forget(olderThanMs) {
      await run(forgetMarksSql);
      // Committed before the first change is deleted, so that a watcher that misses one learns why.
      await run(
        "UPDATE sigrun.change_marks SET is_forgotten = true WHERE NOT is_forgotten AND taken_at <= now() - $1 * interval '1 millisecond'",
        [olderThanMs],
      );
      return (await run(forgetChangesSql, [forgetSize])).length;
    },
  };
}

/** A row of changesSql. */
type ChangeRow = Partial<ExecutionRow> & {
  until: string;
  now: string;
  is_forgotten: boolean;
  number: string | null;
  is_deleted: boolean;
  read_rows: string;
};

function changesOf(rows: readonly ChangeRow[], { since }: Cursor): Changes {
  const [{ until, now, read_rows, is_forgotten: isForgotten }] = rows as [ChangeRow];
  if (isForgotten) return { changes: [], next: from(now), isAll: true, isForgotten };
  const changes = rows
    .filter(({ id }) => id)
    .map((row): Change => {
      const cursor = { since, until, number: row.number as string };
      return row.is_deleted
        ? { cursor, deletedId: row.id as string }
        : { cursor, execution: executionOf(row as ExecutionRow) };
    });
  const last = rows.at(-1)?.number ?? null;
  // Fewer rows than were read: the rest would exceed the maximum size.
  const isDone = last === null || (rows.length === Number(read_rows) && rows.length < readSize);
  return {
    changes,
    next: isDone ? from(until) : { since, until, number: last },
    isAll: isDone && until === now,
    isForgotten,
  };
}

const from = (since: string): Cursor => ({ since, until: null, number: "0" });
