import type { SqlType } from "../table.ts";
import { executionColumnList } from "./row.ts";
import type { RunEnd, RunStart } from "./run.ts";

/** A column of the rows that a statement reads from JSON. */
type Written<Row> = { readonly name: string; readonly type: SqlType; readonly value: (run: Row) => unknown };

const startColumns = executionColumnList.flatMap(({ name, type, start }): Written<RunStart>[] =>
  start ? [{ name, type, value: start }] : [],
);
const endColumns = executionColumnList.flatMap(({ name, type, end }): Written<RunEnd>[] =>
  end ? [{ name, type, value: end }] : [],
);
const mustBeCurrent: Written<RunStart> = {
  name: "must_be_current",
  type: "boolean",
  value: (run) => run.mustBeCurrent,
};
const sentAtStart = [...startColumns, mustBeCurrent];

const rowBy =
  <Row>(columns: readonly Written<Row>[]) =>
  (run: Row) => {
    const row: Record<string, unknown> = {};
    for (const { name, value } of columns) row[name] = value(run);
    return row;
  };

/** A run's row in $1, the one parameter that holds all rows of a statement. */
export const startRow = rowBy(sentAtStart);
export const endRow = rowBy(endColumns);

const rowsOf = (columns: readonly { readonly name: string; readonly type: SqlType }[]) =>
  `jsonb_to_recordset($1::jsonb) AS run (${columns.map(({ name, type }) => `${name} ${type}`).join(", ")})`;

/**
 * Inserts runs of the gateway process $2 and returns the ids of the inserted ones. A run is left
 * out if its request_id is on record, if its program is gone, or if `must_be_current` is set and
 * the program's current revision is another one.
 */
export const insertSql = `
  INSERT INTO sigrun.executions (${startColumns.map(({ name }) => name).join(", ")}, status, runner_id, updated_at)
  SELECT ${startColumns.map(({ name }) => `run.${name}`).join(", ")}, 'running', $2::uuid, run.started_at
  FROM ${rowsOf(sentAtStart)}
  JOIN sigrun.programs AS program ON program.project_id = run.project_id AND program.id = run.program_id
       AND (NOT run.must_be_current OR coalesce(program.deployed_revision, program.newest_revision) = run.revision)
  ON CONFLICT (project_id, request_method, request_id) DO NOTHING
  RETURNING id`;

const tokenColumns = ["input_tokens", "output_tokens", "cached_tokens", "lm_calls"];
const keyColumns = ["project_id", "id", "attempt"];

/**
 * The model recorded at the start stays if the run ended before it asked a model. Tokens are added
 * to those of earlier attempts.
 */
const endValues: Readonly<Record<string, string>> = {
  model: "coalesce(nullif(run.model, ''), e.model)",
  ...Object.fromEntries(tokenColumns.map((name) => [name, `e.${name} + run.${name}`])),
};
const assignments = endColumns
  .filter(({ name }) => !keyColumns.includes(name))
  .map(({ name }) => `${name} = ${endValues[name] ?? `run.${name}`}`);

/**
 * Writes the ends of runs that the gateway process $2 still runs, and returns their ids. A run that
 * was swept or cancelled meanwhile is not changed.
 *
 * The primary key must find the rows. Do not write `e.status = 'running'` or `e.runner_id = $2`
 * here, in place of IS NOT DISTINCT FROM, which takes no index: the planner would take the index
 * `executions_running`, and its cached plan would read all runs in flight for each end. The
 * conditions on `run` always hold. They tell the planner that `run` has few rows; without them it
 * would cache a plan that scans the whole table, made while the table was small.
 */
export const updateSql = `
  UPDATE sigrun.executions AS e
  SET ${assignments.join(", ")}, updated_at = run.completed_at
  FROM ${rowsOf(endColumns)}
  WHERE e.project_id = run.project_id AND e.id = run.id AND e.completed_at IS NULL AND e.runner_id IS NOT DISTINCT FROM $2::uuid AND e.attempt = run.attempt
    AND run.status IN ('completed', 'failed', 'cancelled') AND run.duration_ms >= 0
  RETURNING e.id`;

const cleared = executionColumnList.flatMap(({ name, before }) =>
  before !== undefined && !tokenColumns.includes(name) ? [`${name} = ${before}`] : [],
);

/**
 * Starts attempt $3 of the failed run $2 of project $1, by the gateway process $4. Changes nothing
 * if another gateway has started it.
 */
export const restartSql = `
  UPDATE sigrun.executions
  SET status = 'running', attempt = $3, runner_id = $4, started_at = $5, updated_at = $5, model = $6, ${cleared.join(", ")}
  WHERE project_id = $1 AND id = $2 AND status = 'failed' AND attempt = $3 - 1
  RETURNING id`;

/** Deletes runs of the gateway process $2 that have not ended. */
export const deleteSql = `
  DELETE FROM sigrun.executions AS e
  USING jsonb_to_recordset($1::jsonb) AS run (project_id uuid, id uuid)
  WHERE e.project_id = run.project_id AND e.id = run.id AND e.status = 'running' AND e.runner_id = $2
  RETURNING e.id`;
