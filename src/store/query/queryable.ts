import { type SnakeCase, snakeCase } from "../../domain/snake-case.ts";
import type { Column, Columns } from "./where.ts";

/** A table, or a join of tables, that callers may query. It has the columns project_id and id. */
export type Queryable = {
  /** What follows FROM. */
  readonly from: string;
  readonly projectId: string;
  readonly columns: Columns;
};

/** The SQL names of a row's columns that are never null: their name is all their SQL. */
type PlainName<Row> = {
  [Name in keyof Row & string]: null extends Row[Name] ? never : SnakeCase<Name>;
}[keyof Row & string];

/**
 * The SQL of every field that callers may query. `special` may omit a field whose name is that of a
 * column that is never null. If it omits any other field, the call does not compile.
 */
export function fieldColumns<Row, Field extends string>(
  fields: Readonly<Record<Field, unknown>>,
  special: { readonly [Name in Exclude<Field, PlainName<Row>>]: Column } & {
    readonly [Name in Field]?: Column;
  },
): Readonly<Record<Field, Column>> {
  const named = Object.keys(fields).map((field) => [field, { sql: snakeCase(field) }]);
  return { ...Object.fromEntries(named), ...special };
}
