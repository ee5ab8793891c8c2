import type { Sequelize } from "sequelize";
import { type Annotations, annotationsOf } from "../../domain/annotations.ts";
import { type Execution, finishReasonOf } from "../../domain/execution.ts";
import { snakeCase } from "../../domain/snake-case.ts";
import { defineTable, type SqlType, selectList } from "../table.ts";
import { type TokenColumns, tokenUsageOf } from "../token-columns.ts";
import type { RunEnd, RunStart } from "./run.ts";

/**
 * A row of `executions`: the fields of Execution, except for those that columns hold differently.
 */
export type ExecutionRow = Omit<Execution, "requestId" | "tokenUsage" | "durationMs" | "retryAfterMs"> &
  TokenColumns & {
    readonly projectId: string;
    readonly requestMethod: string | null;
    readonly requestId: string | null;
    readonly requestHash: string | null;
    /** The gateway process that runs it; null for a run outside sigrun. */
    readonly runnerId: string | null;
    /** bigint columns come as strings. */
    readonly durationMs: string | null;
  };

type Column = {
  readonly type: SqlType;
  /** The value that is inserted when a run starts. */
  readonly start?: (run: RunStart) => unknown;
  /** The value that is written when a run ends. */
  readonly end?: (run: RunEnd) => unknown;
  /** What the column holds until the run ends, in SQL. */
  readonly before?: string;
  /**
   * True if the log of changes has this column too, with the value after each change. If false, a
   * watcher gets the present value with every change.
   */
  readonly isLogged?: boolean;
};
/** Columns written by the SQL in statements.ts, or by PostgreSQL itself. */
type SqlName = "runnerId" | "createdAt" | "updatedAt";
type Written<Name> = Column &
  (Name extends keyof Annotations
    ? { readonly start: unknown; readonly isLogged: boolean }
    :
        | { readonly start: unknown }
        | { readonly end: unknown }
        | (Name extends SqlName ? { readonly isInSql: true } : never));

const atStart = (type: SqlType, start: (run: RunStart) => unknown) => ({ type, start });
const atEnd = (type: SqlType, before: string, end: (run: RunEnd) => unknown) => ({ type, before, end });
const inSql = (type: SqlType) => ({ type, isInSql: true }) as const;

/**
 * Every column, with its type and its values. The recorder's statements, the change log, SELECT
 * lists and Sequelize's model are made from this table. A field of Execution that is missing here,
 * or that has no value to write, does not compile.
 */
export const executionColumns = {
  projectId: { type: "uuid", start: (run: RunStart) => run.project, end: (run: RunEnd) => run.project },
  id: { type: "uuid", start: (run: RunStart) => run.id, end: (run: RunEnd) => run.id },
  // Written at the start alone; the end must be that of the same attempt.
  attempt: { type: "integer", start: (run: RunStart) => run.attempt, end: (run: RunEnd) => run.attempt },
  programId: atStart("uuid", (run) => run.programId),
  revision: atStart("integer", (run) => run.revision),
  status: { type: "text", end: (run: RunEnd) => run.status },
  inputs: atStart("jsonb", (run) => run.inputs),
  outputs: atEnd("jsonb", "NULL", (run) => run.outputs),
  errorReason: atEnd("text", "''", (run) => run.errorReason),
  errorMessage: atEnd("text", "''", (run) => run.errorMessage),
  violations: atEnd("json", "'[]'", (run) => run.violations),
  steps: atEnd("json", "'[]'", (run) => run.trace.steps),
  inputTokens: atEnd("bigint", "0", (run) => run.trace.tokenUsage.inputTokens),
  outputTokens: atEnd("bigint", "0", (run) => run.trace.tokenUsage.outputTokens),
  cachedTokens: atEnd("bigint", "0", (run) => run.trace.tokenUsage.cachedTokens),
  lmCalls: atEnd("bigint", "0", (run) => run.trace.tokenUsage.lmCalls),
  model: { type: "text", start: (run: RunStart) => run.model, end: (run: RunEnd) => run.trace.model },
  finishReason: atEnd("text", "''", (run) => finishReasonOf(run.trace)),
  labels: { ...atStart("jsonb", (run) => run.labels), isLogged: true },
  requestMethod: atStart("text", (run) => run.request?.method ?? null),
  requestId: atStart("uuid", (run) => run.request?.id ?? null),
  requestHash: atStart("text", (run) => run.request?.hash ?? null),
  runnerId: inSql("uuid"),
  startedAt: atStart("timestamptz", (run) => run.startedAt),
  completedAt: atEnd("timestamptz", "NULL", (run) => run.completedAt),
  durationMs: atEnd("bigint", "NULL", (run) => run.durationMs),
  createdAt: inSql("timestamptz"),
  updatedAt: inSql("timestamptz"),
} as const satisfies { readonly [Name in keyof ExecutionRow]-?: Written<Name> };

type Name = keyof typeof executionColumns;

/** The same columns as a list. */
export const executionColumnList = Object.entries<Column>(executionColumns).map(([property, column]) => ({
  property,
  name: snakeCase(property),
  ...column,
}));

/** The columns that have a value when a run starts; status is always given. */
type StartName = { [N in Name]: (typeof executionColumns)[N] extends { start: unknown } ? N : never }[Name];

/** A row that Sequelize inserts: a run outside sigrun. */
export type NewExecutionRow = Pick<ExecutionRow, Exclude<StartName, "model"> | "status">;

export type ExecutionRows = ReturnType<typeof defineExecutionRows>;

export const defineExecutionRows = (sequelize: Sequelize) =>
  defineTable<ExecutionRow, NewExecutionRow>(sequelize, {
    name: "executions",
    columns: Object.fromEntries(executionColumnList.map(({ property, type }) => [property, type])) as {
      [N in Name]: SqlType;
    },
    key: ["projectId", "id"],
    hasGeneratedCreatedAt: true,
  });

/** Columns that may be large. */
const valueColumns = ["inputs", "outputs", "steps"];

const allColumns = selectList(Object.keys(executionColumns));
const withoutValues = selectList(
  Object.keys(executionColumns).filter((name) => !valueColumns.includes(name)),
);

/** A SELECT list of what executionOf reads, with or without inputs, outputs and steps. */
export const executionSelect = (withValues: boolean) => (withValues ? allColumns : withoutValues);

/** SQL for the size of a row's values as text, in bytes; the row was read by executionSelect. */
export const valueBytes = (row: string) =>
  valueColumns.map((name) => `coalesce(octet_length(${row}.${name}::text), 0)`).join(" + ");

/** Reads a row that PostgreSQL returned as JSON, where times are texts. */
export function executionOfJson(row: ExecutionRow): Execution {
  const dateOf = (time: unknown) => (time === null ? null : new Date(time as string));
  const { startedAt, completedAt, createdAt, updatedAt, ...rest } = executionOf(row);
  const dates = { startedAt: dateOf(startedAt), completedAt: dateOf(completedAt) };
  return { ...rest, ...dates, createdAt: dateOf(createdAt) as Date, updatedAt: dateOf(updatedAt) as Date };
}

export function executionOf(row: ExecutionRow): Execution {
  return {
    id: row.id,
    attempt: row.attempt,
    programId: row.programId,
    revision: row.revision,
    status: row.status,
    inputs: row.inputs ?? {},
    outputs: row.outputs ?? null,
    errorReason: row.errorReason,
    errorMessage: row.errorMessage,
    violations: row.violations,
    steps: row.steps ?? [],
    tokenUsage: tokenUsageOf(row),
    model: row.model,
    finishReason: row.finishReason,
    requestId: row.requestId ?? "",
    ...annotationsOf(row),
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    durationMs: row.durationMs === null ? null : Number(row.durationMs),
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}
