import pLimit from "p-limit";
import { QueryTypes } from "sequelize";
import type { Execution } from "../../domain/execution.ts";
import type { Condition } from "../../domain/query/condition.ts";
import { type Cursor, cursorFault } from "../../domain/query/cursor.ts";
import { type Database, sqlStateOf } from "../database.ts";
import { type ExecutionRow, executionOf } from "../executions/row.ts";
import { askRows } from "../query/query.ts";
import { Binds } from "../query/where.ts";
import { changesSql, forgetChangesSql, forgetMarksSql } from "./sql.ts";

/** A change, and the cursor of who has seen it: the execution as it was then, or the id of one that was deleted. */
export type Change = { readonly cursor: Cursor } & (
  | { readonly execution: Execution }
  | { readonly deletedId: string }
);

/** What comes after a cursor. */
export type Changes = {
  readonly changes: readonly Change[];
  /** Behind all that was looked at, whether it met the condition or not. */
  readonly next: Cursor;
  /** False while more is known to be there. */
  readonly isAll: boolean;
  /** What followed the cursor is forgotten; next is behind all that there is. */
  readonly isForgotten: boolean;
};

export type ChangeLog = {
  /** Behind all that was committed so far. */
  now(): Promise<Cursor>;
  /** Some of the changes that follow and meet the condition, in their order: a bounded number of them, and of bytes. */
  read(project: string, cursor: Cursor, where: Condition | null, withValues: boolean): Promise<Changes>;
  /** Marks how far the log goes now. */
  mark(): Promise<void>;
  /** Forgets some of what was there at the last mark of so long ago; gives how many changes that were. */
  forget(olderThanMs: number): Promise<number>;
};

/** Changes looked at in one step, and forgotten in one. */
const batchSize = 200;
const forgetSize = 5_000;
/** Watchers that read at a time, of however many there are. */
const readers = 2;

/** Reads and prunes the log that PostgreSQL's triggers write. */
export function createChangeLog(database: Database): ChangeLog {
  const inLine = pLimit(readers);
  const run = <Found extends object>(sql: string, bind: unknown[] = []) =>
    database.use(() => database.sequelize.query<Found>(sql, { bind, type: QueryTypes.SELECT }));

  return {
    async now() {
      const [found] = await run<{ now: string }>("SELECT pg_current_snapshot()::text AS now");
      return from(found?.now as string);
    },

    async read(project, cursor, where, withValues) {
      const binds = new Binds();
      const sql = changesSql(binds, { project, cursor, where, withValues, limit: batchSize });
      try {
        return changesOf(await inLine(() => askRows<ChangeRow>(database, sql, binds)), cursor);
      } catch (error) {
        // A cursor that somebody else wrote.
        if (sqlStateOf(error)?.startsWith("22")) throw cursorFault();
        throw error;
      }
    },

    async mark() {
      await run("INSERT INTO change_marks (snapshot) VALUES (pg_current_snapshot())");
    },

    async forget(olderThanMs) {
      await run(forgetMarksSql);
      // Committed before the first change is deleted, so that whoever misses one sees why.
      await run(
        "UPDATE change_marks SET is_forgotten = true WHERE NOT is_forgotten AND taken_at <= now() - $1 * interval '1 millisecond'",
        [olderThanMs],
      );
      return (await run(forgetChangesSql, [forgetSize])).length;
    },
  };
}

/** A row for each change that was looked at, or one where none was; with the execution where it met the condition. */
type ChangeRow = Partial<ExecutionRow> & {
  until: string;
  now: string;
  is_forgotten: boolean;
  number: string | null;
  is_deleted: boolean;
  looked_at: string;
};

function changesOf(rows: readonly ChangeRow[], { since }: Cursor): Changes {
  const [{ until, now, looked_at, is_forgotten: isForgotten }] = rows as [ChangeRow];
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
  // Fewer rows than were looked at: the others would have been too many bytes.
  const isDone = last === null || (rows.length === Number(looked_at) && rows.length < batchSize);
  return {
    changes,
    next: isDone ? from(until) : { since, until, number: last },
    isAll: isDone && until === now,
    isForgotten,
  };
}

const from = (since: string): Cursor => ({ since, until: null, number: "0" });
