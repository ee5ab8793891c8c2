import type { Comparison, Condition, Operand } from "../../domain/query/condition.ts";
import type { Kind, Target } from "../../domain/query/queryable.ts";
import { firstId, isUuid, lastId } from "../../domain/uuid.ts";

/** What stands for a field in SQL. */
export type Column = {
  readonly sql: string;
  /** The field's place in the JSON of each element, where the column is a list of JSON. */
  readonly within?: readonly string[];
  /** Stands for the least, where the column may be null and rows are sorted by it. */
  readonly least?: string;
  /** A UUIDv7 made at the very time that this column has: its order is this one's. */
  readonly madeWith?: string;
};

/** Values of `least`. */
export const noTime = "'-infinity'::timestamptz";
export const noUuid = "'00000000-0000-0000-0000-000000000000'::uuid";

/** By the names that the domain has for them. */
export type Columns = Readonly<Record<string, Column>>;

/** The values of a statement, by their places. Nothing a caller wrote gets into SQL another way. */
export class Binds {
  readonly values: unknown[] = [];

  /** Gives the value's place, with its type. */
  add(value: unknown, type: string): string {
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}

/** A condition as SQL; what is unknown there counts as not so. */
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

/** The member of JSON that a path names through objects; lists have none. */
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
  // What a step holds by itself is text, or an object.
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

/** True where a member that the path names meets a test; the path goes through objects, and through each element of a list. */
function anyMemberSql(
  { sql, within = [] }: Column,
  path: readonly string[],
  binds: Binds,
  test: (member: string) => string,
): string {
  const whole = [...within, ...path];
  // What callers' JSON begins with is an object, so that one name leads to one member: that is quicker.
  if (whole.length === path.length && path.length === 1) return test(memberSql(sql, path, binds));
  const jsonPath = `$${whole.map((name) => `.${JSON.stringify(name)}`).join("")}`;
  return `EXISTS (SELECT FROM jsonb_path_query(${sql}, ${binds.add(jsonPath, "jsonpath")}) AS member WHERE ${test("member")})`;
}

/** In any case, whatever the database's own locale. */
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
  // Where nobody has the handle, every row differs from it.
  if (kind === "program" && !isUuid(String(value)))
    return `${column.sql} ${op === "=" ? "=" : "IS DISTINCT FROM"} (SELECT id FROM programs WHERE project_id = $1 AND handle = ${binds.add(value, "text")})`;
  if (kind === "text" && /[<>]/.test(op))
    return `${column.sql} COLLATE "C" ${sign} ${binds.add(value, "text")}`;
  const $value = binds.add(value, typeOf(kind, value));
  const plain = `${sortedSql(column)} ${sign} ${$value}`;
  // Equal to something is there, and may have an index of its own beside the one of the order.
  const present =
    column.least === undefined ? "" : ` AND ${column.sql} ${op === "=" ? `= ${$value}` : "IS NOT NULL"}`;
  return `(${plain}${present}${column.madeWith === undefined ? "" : madeSql(op, column.madeWith, String(value), binds)})`;
}

/** True of the same rows as a comparison of the time that the id was made with; the id has an index. */
function madeSql(op: Comparison, id: string, time: string, binds: Binds): string {
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
  // An index serves containment alone.
  if (op === "=")
    return `${sql} @> ${binds.add(`${path.map((name) => `{${JSON.stringify(name)}:`).join("")}${json}${"}".repeat(path.length)}`, "jsonb")}`;
  const member = memberSql(sql, path, binds);
  if (op === "!=") return `(${member} <> 'null' AND ${member} <> ${binds.add(json, "jsonb")})`;
  if (typeof value === "string")
    return `(jsonb_typeof(${member}) = 'string' AND (${member} #>> '{}') COLLATE "C" ${sign} ${binds.add(value, "text")})`;
  return `(jsonb_typeof(${member}) = 'number' AND ${member} ${sign} ${binds.add(json, "jsonb")})`;
}

/** The type of a value that a column is compared to: as the column's own where it can be, since an index has that. */
function typeOf(kind: Kind, value: Operand): string {
  if (kind === "uuid" || kind === "program") return "uuid";
  if (kind === "time") return "timestamptz";
  if (kind === "fraction") return "double precision";
  if (kind === "number" || (typeof kind === "object" && "duration" in kind))
    return Number.isSafeInteger(value) ? "bigint" : "numeric";
  return "text";
}

/** A column as it is sorted by: never null. */
export function sortedSql({ sql, least }: Column): string {
  return least === undefined ? sql : `coalesce(${sql}, ${least})`;
}
