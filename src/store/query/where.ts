import type { Comparison, Condition, Operand } from "../../domain/query/condition.ts";
import type { Kind, Target } from "../../domain/query/queryable.ts";
import { firstId, isUuid, lastId } from "../../domain/uuid.ts";

/** The SQL of a field. */
export type Column = {
  readonly sql: string;
  /** If the column is a JSON list: the path of the field inside each element. */
  readonly within?: readonly string[];
  /** If the column may be null: the value, lower than all others, by which null is sorted. */
  readonly nullSortsAs?: string;
  /** A UUIDv7 column that was made at this column's time, so that both have the same order. */
  readonly orderedLike?: string;
};

/** Values for `nullSortsAs`. */
export const noTime = "'-infinity'::timestamptz";
export const noUuid = "'00000000-0000-0000-0000-000000000000'::uuid";

/** The SQL of fields, by their names in the domain. */
export type Columns = Readonly<Record<string, Column>>;

/** The parameters of a statement. A caller's words get into SQL only as parameters. */
export class Binds {
  readonly values: unknown[] = [];

  /** Returns the placeholder for a value, with its type. */
  add(value: unknown, type: string): string {
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}

/** SQL of a condition. NULL counts as false. */
export function whereSql(condition: Condition | null, columns: Columns, binds: Binds): string {
  if (condition === null) return "TRUE";
  switch (condition.op) {
    case "and":
    case "or":
      return `(${condition.of.map((one) => whereSql(one, columns, binds)).join(condition.op === "and" ? " AND " : " OR ")})`;
    case "not":
      return `(${whereSql(condition.of, columns, binds)}) IS NOT TRUE`;
    case "present":
      return presentSql(condition.target, columns, binds);
    case "has":
      return hasSql(condition.target, condition.value, condition.text, columns, binds);
    default:
      return compareSql(condition.op, condition.target, condition.value, columns, binds);
  }
}

/** SQL of the member that a path through JSON objects names. */
export function memberSql(
  sql: string,
  path: readonly string[],
  binds: Binds,
  last: "->" | "->>" = "->",
): string {
  return path.reduce(
    (object, name, index) =>
      `(${object} ${index === path.length - 1 ? last : "->"} ${binds.add(name, "text")})`,
    sql,
  );
}

export function columnOf({ field }: Target, columns: Columns): Column {
  const column = columns[field];
  if (!column) throw new Error(`no column for ${field}`);
  return column;
}

function presentSql(target: Target, columns: Columns, binds: Binds): string {
  const column = columnOf(target, columns);
  const { sql } = column;
  if (target.kind === "text") return `${sql} <> ''`;
  if (target.kind === "labels")
    return target.path[0] === undefined ? `${sql} <> '{}'` : `${sql} ? ${binds.add(target.path[0], "text")}`;
  // A step's module and raw answer are texts, its outputs an object.
  if (target.kind === "list" && target.path.length === 0)
    return anyMemberSql(column, [], binds, (member) => `${member} NOT IN ('null', '""')`);
  if (target.kind === "list" || (target.kind === "json" && target.path.length > 0))
    return anyMemberSql(column, target.path, binds, (member) => `${member} <> 'null'`);
  return `${sql} IS NOT NULL`;
}

function hasSql(target: Target, value: Operand, text: string, columns: Columns, binds: Binds): string {
  const column = columnOf(target, columns);
  const { sql } = column;
  if (target.kind === "text") return containsSql(sql, text, binds);
  if (target.path.length === 0 && target.kind !== "list") return `${sql} ? ${binds.add(text, "text")}`;
  if (target.kind === "labels") return containsSql(memberSql(sql, target.path, binds, "->>"), text, binds);
  return anyMemberSql(column, target.path, binds, (member) => {
    const elements = [...new Set([JSON.stringify([value]), JSON.stringify([text])])].map(
      (list) => `${member} @> ${binds.add(list, "jsonb")}`,
    );
    return `CASE jsonb_typeof(${member})
      WHEN 'string' THEN ${containsSql(`(${member} #>> '{}')`, text, binds)}
      WHEN 'array' THEN ${elements.join(" OR ")}
      WHEN 'object' THEN ${member} ? ${binds.add(text, "text")}
      ELSE ${member} = ${binds.add(JSON.stringify(value), "jsonb")} END`;
  });
}

/**
 * SQL that is true if any member that the path names passes a test. The path also goes through
 * lists.
 */
function anyMemberSql(
  { sql, within = [] }: Column,
  path: readonly string[],
  binds: Binds,
  test: (member: string) => string,
): string {
  const whole = [...within, ...path];
  // Callers' JSON is an object at its top, so one name leads to one member: no need for a slower
  // path.
  if (whole.length === path.length && path.length === 1) return test(memberSql(sql, path, binds));
  const jsonPath = `$${whole.map((name) => `.${JSON.stringify(name)}`).join("")}`;
  return `EXISTS (SELECT FROM jsonb_path_query(${sql}, ${binds.add(jsonPath, "jsonpath")}) AS member WHERE ${test("member")})`;
}

/** SQL of a case-insensitive search that does not depend on the database's locale. */
function containsSql(sql: string, text: string, binds: Binds): string {
  return `strpos(lower(${sql} COLLATE "und-x-icu"), lower(${binds.add(text, "text")} COLLATE "und-x-icu")) > 0`;
}

function compareSql(op: Comparison, target: Target, value: Operand, columns: Columns, binds: Binds): string {
  const sign = op === "!=" ? "<>" : op;
  const column = columnOf(target, columns);
  const { kind, path } = target;
  if (kind === "labels" && op === "=")
    return `${column.sql} @> ${binds.add(JSON.stringify({ [path[0] as string]: value }), "jsonb")}`;
  if (kind === "labels")
    return `${memberSql(column.sql, path, binds, "->>")} COLLATE "C" ${sign} ${binds.add(value, "text")}`;
  if (kind === "json") return jsonSql(op, sign, column.sql, path, value, binds);
  // If no program has the handle, every row differs from it.
  if (kind === "program" && !isUuid(String(value))) {
    const found = `SELECT id FROM sigrun.programs WHERE project_id = $1 AND handle = ${binds.add(value, "text")}`;
    return `${column.sql} ${op === "=" ? "=" : "IS DISTINCT FROM"} (${found})`;
  }
  if (kind === "text" && /[<>]/.test(op))
    return `${column.sql} COLLATE "C" ${sign} ${binds.add(value, "text")}`;
  const $value = binds.add(value, typeOf(kind, value));
  const compared = `${sortedSql(column)} ${sign} ${$value}`;
  // The comparison with the plain column may have an index besides that of the sort key.
  const present =
    column.nullSortsAs === undefined
      ? ""
      : ` AND ${column.sql} ${op === "=" ? `= ${$value}` : "IS NOT NULL"}`;
  return `(${compared}${present}${column.orderedLike === undefined ? "" : sameOnIdSql(op, column.orderedLike, String(value), binds)})`;
}

/** The same comparison on the id that has the time's order, so that the id's index serves it. */
function sameOnIdSql(op: Comparison, id: string, time: string, binds: Binds): string {
  const from =
    op === ">" || op === ">=" || op === "=" ? ` AND ${id} >= ${binds.add(firstId(time), "uuid")}` : "";
  const to =
    op === "<" || op === "<=" || op === "=" ? ` AND ${id} <= ${binds.add(lastId(time), "uuid")}` : "";
  return from + to;
}

function jsonSql(
  op: Comparison,
  sign: string,
  sql: string,
  path: readonly string[],
  value: Operand,
  binds: Binds,
): string {
  const json = JSON.stringify(value);
  // The index on JSON serves only containment.
  if (op === "=")
    return `${sql} @> ${binds.add(`${path.map((name) => `{${JSON.stringify(name)}:`).join("")}${json}${"}".repeat(path.length)}`, "jsonb")}`;
  const member = memberSql(sql, path, binds);
  if (op === "!=") return `(${member} <> 'null' AND ${member} <> ${binds.add(json, "jsonb")})`;
  if (typeof value === "string")
    return `(jsonb_typeof(${member}) = 'string' AND (${member} #>> '{}') COLLATE "C" ${sign} ${binds.add(value, "text")})`;
  return `(jsonb_typeof(${member}) = 'number' AND ${member} ${sign} ${binds.add(json, "jsonb")})`;
}

/**
 * The SQL type of a value in a comparison: the column's own if possible, so that an index serves
 * it.
 */
function typeOf(kind: Kind, value: Operand): string {
  if (kind === "uuid" || kind === "program") return "uuid";
  if (kind === "time") return "timestamptz";
  if (kind === "fraction") return "double precision";
  if (kind === "number" || (typeof kind === "object" && "duration" in kind))
    return Number.isSafeInteger(value) ? "bigint" : "numeric";
  return "text";
}

/** SQL of a column's sort key, which is never null. */
export function sortedSql({ sql, nullSortsAs }: Column): string {
  return nullSortsAs === undefined ? sql : `coalesce(${sql}, ${nullSortsAs})`;
}
