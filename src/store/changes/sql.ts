import type { Condition } from "../../domain/query/condition.ts";
import type { Cursor } from "../../domain/query/cursor.ts";
import { queryableExecutions } from "../executions/columns.ts";
import { executionColumnList, executionSelect, valueBytes } from "../executions/row.ts";
import { type Binds, whereSql } from "../query/where.ts";

export type ChangeQuery = {
  readonly project: string;
  readonly cursor: Cursor;
  readonly where: Condition | null;
  readonly withValues: boolean;
  readonly limit: number;
};

/** Maximum size of the values of one step, in bytes; a first value may be larger. */
const stepBytes = 2 ** 20;

/** True for a change of a first attempt that the row tells; the log has the state of others. */
const isFirst = "change.status IS NOT NULL AND change.state IS NULL";

/** What the log says of an execution after the change, besides its annotations. */
const changed: Readonly<Record<string, string>> = {
  status: "coalesce(change.status, found.status)",
  attempt: `CASE WHEN ${isFirst} THEN 1 ELSE coalesce(found.attempt, 1) END`,
  updated_at: "change.changed_at",
  // A run starts when it is recorded; the row has the start of its last attempt.
  started_at: `CASE WHEN change.status = 'pending' THEN NULL
    WHEN ${isFirst} AND found.attempt > 1 THEN found.created_at ELSE found.started_at END`,
};

/**
 * The columns of an execution as they were after a change: those written at the end of a first
 * attempt were empty before.
 */
const columnsThen = executionColumnList.map(({ name, before, isLogged }) => {
  const source = isLogged ? "change" : "found";
  const then =
    before === undefined
      ? `${source}.${name}`
      : `CASE WHEN ${isFirst} AND change.status IN ('pending', 'running') THEN ${before} ELSE found.${name} END`;
  return `${changed[name] ?? then} AS ${name}`;
});

/**
 * SQL that is true for a change that the snapshot `until` shows and `since` does not. Numbers alone
 * would miss a change that is committed after one with a higher number.
 */
const isNew = (xid: string, since: string, until: string) =>
  `${xid} >= pg_snapshot_xmin(${since}) AND ${xid} < pg_snapshot_xmax(${until})
   AND NOT pg_visible_in_snapshot(${xid}, ${since}) AND pg_visible_in_snapshot(${xid}, ${until})`;

/** SQL that is true if the snapshot `since` shows all that the snapshot `mark` shows. */
const covers = (since: string, mark: string) =>
  `pg_snapshot_xmax(${since}) >= pg_snapshot_xmax(${mark})
   AND NOT EXISTS (SELECT FROM pg_snapshot_xip(${since}) AS xip WHERE pg_visible_in_snapshot(xip, ${mark}))`;

/**
 * SQL that returns a row for every change it read, or one row if there was none. A row holds the
 * execution as it was after the change, if that met the condition.
 */
export function changesSql(binds: Binds, { project, cursor, where, withValues, limit }: ChangeQuery): string {
  const $project = binds.add(project, "uuid");
  const $since = binds.add(cursor.since, "pg_snapshot");
  const $until = binds.add(cursor.until, "pg_snapshot");
  const $number = binds.add(cursor.number, "bigint");
  const matches = whereSql(where, queryableExecutions.columns, binds);
  const mayMatch = whereSql(withoutValues(where), queryableExecutions.columns, binds);
  return `
    WITH query AS MATERIALIZED (
      SELECT ${$since} AS since, pg_current_snapshot() AS now, coalesce(${$until}, (
        SELECT snapshot FROM sigrun.change_marks WHERE pg_snapshot_xmax(snapshot) > pg_snapshot_xmax(${$since}) ORDER BY pg_snapshot_xmax(snapshot) LIMIT 1
      ), pg_current_snapshot()) AS until
    ), new_changes AS MATERIALIZED (
      SELECT change.* FROM query JOIN sigrun.execution_changes AS change ON ${isNew("xid", "since", "until")}
      WHERE project_id = ${$project} AND number > ${$number} ORDER BY number LIMIT ${limit}
    ), found AS (
      SELECT change.number, change.status IS NULL AS is_deleted, count(*) OVER () AS read_rows, execution.*, coalesce(
        sum(${withValues ? `coalesce(${valueBytes("execution")}, 0)` : "0"}) OVER (ORDER BY change.number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0
      ) AS bytes_before
      FROM new_changes AS change LEFT JOIN LATERAL (
        SELECT ${executionSelect(withValues)} FROM (
          SELECT ${columnsThen.join(", ")} FROM (
            SELECT existing.* FROM sigrun.executions AS existing
            WHERE ${isFirst}
              AND existing.project_id = change.project_id AND existing.id = change.execution_id
            UNION ALL SELECT past.* FROM sigrun.executions AS existing, jsonb_populate_record(existing, change.state) AS past
            WHERE change.state IS NOT NULL
              AND existing.project_id = change.project_id AND existing.id = change.execution_id
            UNION ALL SELECT deleted.* FROM jsonb_populate_record(NULL::sigrun.executions, change.remains) AS deleted WHERE change.status IS NULL
          ) AS found
        ) AS executions WHERE CASE WHEN change.status IS NULL THEN ${mayMatch} ELSE ${matches} END
      ) AS execution ON TRUE
    )
    SELECT until::text, now::text, found.*,
      pg_snapshot_xmax(since) > pg_snapshot_xmax(now) OR EXISTS (
        SELECT FROM sigrun.change_marks AS mark WHERE is_forgotten AND NOT (${covers("since", "mark.snapshot")})
      ) AS is_forgotten
    FROM query LEFT JOIN found ON bytes_before < ${stepBytes} ORDER BY number`;
}

/**
 * The condition for executions that were deleted. Their values are gone, so a comparison of values
 * may have been true and is left out.
 */
function withoutValues(condition: Condition | null): Condition | null {
  if (condition === null) return null;
  switch (condition.op) {
    case "and": {
      const of = condition.of.map(withoutValues).filter((one) => one !== null);
      return of.length === 0 ? null : { op: "and", of };
    }
    case "or": {
      const of = condition.of.map(withoutValues).filter((one) => one !== null);
      return of.length < condition.of.length ? null : { op: "or", of };
    }
    case "not":
      return readsValues(condition.of) ? null : condition;
    default:
      return readsValues(condition) ? null : condition;
  }
}

function readsValues(condition: Condition): boolean {
  switch (condition.op) {
    case "and":
    case "or":
      return condition.of.some(readsValues);
    case "not":
      return readsValues(condition.of);
    default:
      return condition.target.kind === "json" || condition.target.kind === "list";
  }
}

// Deletes all forgotten marks but the last, which covers the others, and marks of the future, which
// a cluster wrote from whose backup this one was restored.
export const forgetMarksSql = `
  DELETE FROM sigrun.change_marks WHERE pg_snapshot_xmax(snapshot) > pg_snapshot_xmax(pg_current_snapshot())
    OR is_forgotten AND pg_snapshot_xmax(snapshot) < (
      SELECT pg_snapshot_xmax(snapshot) FROM sigrun.change_marks
      WHERE is_forgotten AND pg_snapshot_xmax(snapshot) <= pg_snapshot_xmax(pg_current_snapshot())
      ORDER BY pg_snapshot_xmax(snapshot) DESC LIMIT 1
    )`;

export const forgetChangesSql = `
  DELETE FROM sigrun.execution_changes WHERE (xid, number) IN (
    SELECT xid, number FROM sigrun.execution_changes
    WHERE xid < (SELECT pg_snapshot_xmax(snapshot) FROM sigrun.change_marks WHERE is_forgotten ORDER BY pg_snapshot_xmax(snapshot) DESC LIMIT 1)
      AND EXISTS (SELECT FROM sigrun.change_marks WHERE is_forgotten AND pg_visible_in_snapshot(xid, snapshot))
    ORDER BY xid, number LIMIT $1 FOR UPDATE SKIP LOCKED
  ) OR xid >= pg_snapshot_xmax(pg_current_snapshot())
  RETURNING number`;
