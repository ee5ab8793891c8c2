import type { Listing } from "../../domain/query/listing.ts";
import { type Found, pageBytes, tokenFault } from "../../domain/query/page.ts";
import type { Target } from "../../domain/query/queryable.ts";
import { sqlStateOf } from "../connection/outage.ts";
import type { Database } from "../database.ts";
import type { Queryable } from "./queryable.ts";
import { Binds, type Column, columnOf, memberSql, sortedSql, whereSql } from "./where.ts";

/** What is read of every row. */
export type Selection = {
  readonly select: string;
  /** A join that is made with the rows of the page only. */
  readonly joined?: { readonly select: string; readonly join: (binds: Binds) => string };
  /** SQL for the size of a row's values, in bytes. Rows after a page's maximum are not sent. */
  readonly bytes: string;
};

type Key = { readonly sql: string; readonly type: string; readonly isDescending: boolean };

/** Reads a page of a listing. */
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
    const rows = await database.slowRows<Row & { page_keys: string[]; page_rows: string }>(sql, binds.values);
    return rows.map((row, index): Found<Row> => {
      const isCut = index === rows.length - 1 && rows.length < Number(row.page_rows);
      return { row, keys: row.page_keys, ...(isCut && { isCut }) };
    });
  } catch (error) {
    // Only the keys of a page token are not checked before: the token is not ours.
    if (listing.after && sqlStateOf(error)?.startsWith("22")) throw tokenFault();
    throw error;
  }
}

/** Counts the rows of all pages of a listing. */
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
    groups.length === 0 ? matching : `FROM (SELECT DISTINCT ${groups.join(", ")} ${matching}) AS groups`;
  const [counted] = await database.slowRows<{ count: string }>(`SELECT count(*) ${rows}`, binds.values);
  return Number(counted?.count ?? 0);
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
    const { orderedLike, ...column } = columnOf(target, columns);
    const next = order[index + 1];
    // If the order continues with the id, the id's index gives the whole order.
    const isOrderOfId =
      orderedLike !== undefined && next?.target.field === "id" && next.isDescending === isDescending;
    return {
      ...(isOrderOfId ? { sql: orderedLike, type: "uuid" } : keyOf(target, column, binds)),
      isDescending,
    };
  });
  const names = keys.map((key, index) => ({ ...key, sql: `key_${index}` }));
  const place = `OFFSET ${binds.add(skip, "bigint")} LIMIT ${binds.add(limit, "bigint")}`;
  const groups = distinct.map((target) => keyOf(target, columnOf(target, columns), binds).sql);
  const named = keys.map(({ sql }, index) => `${sql} AS key_${index}`).join(", ");
  // The first row of a group is chosen among all rows, so the page is cut after that. The inner
  // query reads only keys, because it sorts all rows.
  const rows =
    groups.length === 0
      ? `SELECT ${select}, ${named} FROM ${from} WHERE ${scope} AND ${afterSql(keys, after, binds)} ORDER BY ${orderSql(keys)} ${place}`
      : `SELECT ${select}, ${named} FROM ${from} WHERE ${scope} AND ${keys.at(-1)?.sql} IN (
           SELECT ${names.at(-1)?.sql} FROM (
             SELECT DISTINCT ON (${groups.join(", ")}) ${named} FROM ${from} WHERE ${scope} ORDER BY ${groups.join(", ")}, ${orderSql(keys)}
           ) AS first WHERE ${afterSql(names, after, binds)} ORDER BY ${orderSql(names)} ${place})`;
  // page_rows also counts rows that are left out for their size, so that the caller sees that the
  // page was cut.
  const keyTexts = `ARRAY[${names.map(({ sql, type }) => textSql(sql, type)).join(", ")}] AS page_keys, page_rows`;
  const read = `SELECT page.*, ${keyTexts}${joined ? `, ${joined.select}` : ""}`;
  const join = joined?.join(binds) ?? "";
  const before = `sum(${bytes}) OVER (ORDER BY ${orderSql(names)} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)`;
  const sized = `SELECT page.*, count(*) OVER () AS page_rows, coalesce(${before}, 0) AS bytes_before FROM (${rows}) AS page`;
  return `${read} FROM (${sized}) AS page ${join} WHERE bytes_before < ${pageBytes} ORDER BY ${orderSql(names)}`;
}

/**
 * The key by which a field is sorted and grouped. It is never null, and no locale changes its
 * order.
 */
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

/** SQL for a key as text. The cast to its type reads it back, under any DateStyle and time zone. */
export const textSql = (sql: string, type: string) =>
  type === "timestamptz" ? `to_json(${sql}) #>> '{}'` : `${sql}::text`;

/** SQL for "the row comes after these keys". */
function afterSql(keys: readonly Key[], after: readonly string[] | undefined, binds: Binds): string {
  if (!after) return "TRUE";
  const values = keys.map(({ type }, index) => binds.add(after[index], type));
  const sign = (key: Key) => (key.isDescending ? "<" : ">");
  const [first] = keys as [Key];
  // An index can serve a comparison of rows, but not the alternatives below.
  if (keys.every(({ isDescending }) => isDescending === first.isDescending))
    return `(${keys.map(({ sql }) => sql).join(", ")}) ${sign(first)} (${values.join(", ")})`;
  const alternatives = keys.map((key, index) => {
    const alike = keys.slice(0, index).map(({ sql }, earlier) => `${sql} = ${values[earlier]}`);
    return `(${[...alike, `${key.sql} ${sign(key)} ${values[index]}`].join(" AND ")})`;
  });
  return `${first.sql} ${sign(first)}= ${values[0]} AND (${alternatives.join(" OR ")})`;
}
