import { QueryTypes } from "sequelize";
import type { Listing } from "../../domain/query/listing.ts";
import { type Found, pageBytes, tokenFault } from "../../domain/query/page.ts";
import type { Target } from "../../domain/query/queryable.ts";
import { type Database, sqlStateOf } from "../database.ts";
import type { Queryable } from "./queryable.ts";
import { Binds, type Column, columnOf, memberSql, sortedSql, whereSql } from "./where.ts";

/** What is read of each row. */
export type Selection = {
  readonly select: string;
  /** A join that is made with the rows of the page only. */
  readonly joined?: { readonly select: string; readonly join: (binds: Binds) => string };
  /** How many bytes a row's values have; what comes after a full page is not sent. */
  readonly bytes: string;
};

type Key = { readonly sql: string; readonly type: string; readonly isDescending: boolean };

/** Finds the rows of a listing. */
export async function findRows<Row>(
  database: Database,
  project: string,
  source: Queryable,
  selection: Selection,
  listing: Listing,
) {
  const binds = new Binds();
  const sql = pageSql(binds, project, source, selection, listing);
  try {
    const rows = await askRows<Row & { page_keys: string[]; page_rows: string }>(database, sql, binds);
    return rows.map((row, index): Found<Row> => {
      const isCut = index === rows.length - 1 && rows.length < Number(row.page_rows);
      return { row, keys: row.page_keys, ...(isCut && { isCut }) };
    });
  } catch (error) {
    // The keys are all that was not checked: a token that somebody else wrote.
    if (listing.after && sqlStateOf(error)?.startsWith("22")) throw tokenFault();
    throw error;
  }
}

/** Counts what a listing would find on all its pages. */
export async function countRows(
  database: Database,
  project: string,
  source: Queryable,
  { where, distinct }: Listing,
): Promise<number> {
  const binds = new Binds();
  const scope = `${source.projectId} = ${binds.add(project, "uuid")}`;
  const matching = `FROM ${source.from} WHERE ${scope} AND ${whereSql(where, source.columns, binds)}`;
  const groups = distinct.map((target) => keyOf(target, columnOf(target, source.columns), binds).sql);
  const rows =
    groups.length === 0 ? matching : `FROM (SELECT DISTINCT ${groups.join(", ")} ${matching}) AS one`;
  const [counted] = await askRows<{ count: string }>(database, `SELECT count(*) ${rows}`, binds);
  return Number(counted?.count ?? 0);
}

/** Asks for rows by one statement. */
export function askRows<Row>(
  { sequelize, ask }: Database,
  sql: string,
  binds: Binds,
): Promise<(Row & object)[]> {
  return ask(() => sequelize.query<Row & object>(sql, { bind: binds.values, type: QueryTypes.SELECT }));
}

function pageSql(
  binds: Binds,
  project: string,
  { from, projectId, columns }: Queryable,
  { select, joined, bytes }: Selection,
  listing: Listing,
) {
  const { where, order, distinct, skip, limit, after } = listing;
  const scope = `${projectId} = ${binds.add(project, "uuid")} AND ${whereSql(where, columns, binds)}`;
  const keys = order.map(({ target, isDescending }, index) => {
    const { madeWith, ...column } = columnOf(target, columns);
    const next = order[index + 1];
    // Where the id decides next, its index gives the whole order.
    const isIds = madeWith !== undefined && next?.target.field === "id" && next.isDescending === isDescending;
    return { ...(isIds ? { sql: madeWith, type: "uuid" } : keyOf(target, column, binds)), isDescending };
  });
  const names = keys.map((key, index) => ({ ...key, sql: `key_${index}` }));
  const place = `OFFSET ${binds.add(skip, "bigint")} LIMIT ${binds.add(limit, "bigint")}`;
  const groups = distinct.map((target) => keyOf(target, columnOf(target, columns), binds).sql);
  const named = keys.map(({ sql }, index) => `${sql} AS key_${index}`).join(", ");
  // The first of each group is found among all of them, so a page begins only after that; by their keys alone, as all are sorted.
  const rows =
    groups.length === 0
      ? `SELECT ${select}, ${named} FROM ${from} WHERE ${scope} AND ${afterSql(keys, after, binds)} ORDER BY ${orderSql(keys)} ${place}`
      : `SELECT ${select}, ${named} FROM ${from} WHERE ${scope} AND ${keys.at(-1)?.sql} IN (
           SELECT ${names.at(-1)?.sql} FROM (
             SELECT DISTINCT ON (${groups.join(", ")}) ${named} FROM ${from} WHERE ${scope} ORDER BY ${groups.join(", ")}, ${orderSql(keys)}
           ) AS first WHERE ${afterSql(names, after, binds)} ORDER BY ${orderSql(names)} ${place})`;
  // What is left out for its bytes is counted too, so that the last that is read is not taken for the last there is.
  const keyTexts = `ARRAY[${names.map(({ sql, type }) => textSql(sql, type)).join(", ")}] AS page_keys, page_rows`;
  const read = `SELECT page.*, ${keyTexts}${joined ? `, ${joined.select}` : ""}`;
  const join = joined?.join(binds) ?? "";
  const before = `sum(${bytes}) OVER (ORDER BY ${orderSql(names)} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)`;
  const weighed = `SELECT page.*, count(*) OVER () AS page_rows, coalesce(${before}, 0) AS bytes_before FROM (${rows}) AS page`;
  return `${read} FROM (${weighed}) AS page ${join} WHERE bytes_before < ${pageBytes} ORDER BY ${orderSql(names)}`;
}

/** What a field is sorted and grouped by: never null, and of an order that no locale changes. */
export function keyOf({ kind, path }: Target, column: Column, binds: Binds): Omit<Key, "isDescending"> {
  if (kind === "json")
    return { sql: `coalesce(${memberSql(column.sql, path, binds)}, 'null')`, type: "jsonb" };
  if (kind === "labels")
    return { sql: `coalesce(${memberSql(column.sql, path, binds, "->>")}, '') COLLATE "C"`, type: "text" };
  const sql = sortedSql(column);
  if (kind === "uuid" || kind === "program") return { sql, type: "uuid" };
  if (kind === "time") return { sql, type: "timestamptz" };
  if (kind === "fraction") return { sql, type: "double precision" };
  if (kind === "number" || (typeof kind === "object" && "duration" in kind)) return { sql, type: "bigint" };
  return { sql: `${sql} COLLATE "C"`, type: "text" };
}

const orderSql = (keys: readonly Key[]) =>
  keys.map(({ sql, isDescending }) => `${sql} ${isDescending ? "DESC" : "ASC"}`).join(", ");

/** A key as a text, which is read back by the cast to their type, whatever DateStyle and time zone the session has. */
export const textSql = (sql: string, type: string) =>
  type === "timestamptz" ? `to_json(${sql}) #>> '{}'` : `${sql}::text`;

/** The rows after those keys. */
function afterSql(keys: readonly Key[], after: readonly string[] | undefined, binds: Binds): string {
  if (!after) return "TRUE";
  const values = keys.map(({ type }, index) => binds.add(after[index], type));
  const sign = (key: Key) => (key.isDescending ? "<" : ">");
  const [first] = keys as [Key];
  // An index serves a comparison of rows.
  if (keys.every(({ isDescending }) => isDescending === first.isDescending))
    return `(${keys.map(({ sql }) => sql).join(", ")}) ${sign(first)} (${values.join(", ")})`;
  const alternatives = keys.map((key, index) => {
    const alike = keys.slice(0, index).map(({ sql }, earlier) => `${sql} = ${values[earlier]}`);
    return `(${[...alike, `${key.sql} ${sign(key)} ${values[index]}`].join(" AND ")})`;
  });
  return `${first.sql} ${sign(first)}= ${values[0]} AND (${alternatives.join(" OR ")})`;
}
