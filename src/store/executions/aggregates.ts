import { type Aggregate, type Grouping, maxGroups } from "../../domain/query/aggregate.ts";
import type { Condition } from "../../domain/query/condition.ts";
import type { Database } from "../database.ts";
import { keyOf } from "../query/query.ts";
import { Binds, type Columns, columnOf, whereSql } from "../query/where.ts";
import { queryableExecutions } from "./columns.ts";

const utc = (unit: string, format: string) => ({
  sql: `to_char(date_trunc('${unit}', created_at AT TIME ZONE 'UTC'), '${format}')`,
});

const groupColumns: Columns = {
  ...queryableExecutions.columns,
  status: { sql: "upper(status)" },
  hour: utc("hour", 'YYYY-MM-DD"T"HH24":00:00Z"'),
  day: utc("day", "YYYY-MM-DD"),
};

/** bigint and numeric columns come as strings. */
type AggregateRow = { group: string[] } & Record<
  | "count"
  | "completed"
  | "failed"
  | "cancelled"
  | "input_tokens"
  | "output_tokens"
  | "cached_tokens"
  | "lm_calls",
  string
> & { average: number; percentiles: [number, number, number] | null };

/**
 * Aggregates the executions that meet a condition, in the order of their groups. Returns one
 * aggregate more than the maximum if there are too many groups.
 */
export async function aggregateExecutions(
  database: Database,
  project: string,
  where: Condition | null,
  groupings: readonly Grouping[],
) {
  const binds = new Binds();
  const scope = `project_id = ${binds.add(project, "uuid")}`;
  const matching = `FROM sigrun.executions WHERE ${scope} AND ${whereSql(where, queryableExecutions.columns, binds)}`;
  const keys = groupings.map(({ target }) => keyOf(target, columnOf(target, groupColumns), binds).sql);
  const places = keys.map((_, index) => index + 1).join(", ");
  const names = keys.map((_, index) => `key_${index}`);
  const ended = (status: string) => `count(*) FILTER (WHERE status = '${status}') AS ${status}`;
  const groups = `
    SELECT ${keys.map((sql, index) => `${sql} AS key_${index}, `).join("")}count(*) AS count,
      ${ended("completed")}, ${ended("failed")}, ${ended("cancelled")},
      coalesce(avg(duration_ms), 0)::double precision AS average,
      percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms) AS percentiles,
      coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
      coalesce(sum(cached_tokens), 0) AS cached_tokens, coalesce(sum(lm_calls), 0) AS lm_calls
    ${matching} ${keys.length > 0 ? `GROUP BY ${places} ORDER BY ${places} LIMIT ${maxGroups + 1}` : ""}`;
  const sql = `SELECT *, ARRAY[${names.map((name) => `${name}::text`).join(", ")}]::text[] AS group FROM (${groups}) AS groups`;
  const rows = await database.slowRows<AggregateRow>(sql, binds.values);
  return rows.map((row) => aggregateOf(row, groupings));
}

function aggregateOf(
  { group, average, percentiles, ...row }: AggregateRow,
  groupings: readonly Grouping[],
): Aggregate {
  const [p50Ms, p95Ms, p99Ms] = percentiles ?? [0, 0, 0];
  return {
    group: Object.fromEntries(groupings.map(({ name }, index) => [name, group[index] ?? ""])),
    count: Number(row.count),
    completed: Number(row.completed),
    failed: Number(row.failed),
    cancelled: Number(row.cancelled),
    averageMs: average,
    p50Ms,
    p95Ms,
    p99Ms,
    tokenUsage: {
      inputTokens: Number(row.input_tokens),
      outputTokens: Number(row.output_tokens),
      cachedTokens: Number(row.cached_tokens),
      lmCalls: Number(row.lm_calls),
    },
  };
}
