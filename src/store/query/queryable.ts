import { type ColumnName, columnName } from "../table.ts";
import type { Column, Columns } from "./where.ts";

/** A table, or several joined, that callers may query. The columns project_id and id are among those of `from`. */
export type Queryable = {
  /** What follows FROM. */
  readonly from: string;
  readonly projectId: string;
  readonly columns: Columns;
};

/** The columns of a row that are never null, by their names in SQL: such a column needs no more than its name. */
type PlainName<Row> = {
  [Name in keyof Row & string]: null extends Row[Name] ? never : ColumnName<Name>;
}[keyof Row & string];

/**
 * The SQL of every field that callers may query. A field that is a column of the row, never null and of the same name,
 * may be left out of `special`; a field that is neither does not compile.
 */
export function fieldColumns<Row, Field extends string>(
  fields: Readonly<Record<Field, unknown>>,
  special: { readonly [Name in Exclude<Field, PlainName<Row>>]: Column } & {
    readonly [Name in Field]?: Column;
  },
): Readonly<Record<Field, Column>> {
  const named = Object.keys(fields).map((field) => [field, { sql: columnName(field) }]);
  return { ...Object.fromEntries(named), ...special };
}
