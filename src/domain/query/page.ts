import { createHash } from "node:crypto";
import { Invalid } from "../faults.ts";
import { weigh } from "./size.ts";

/** How many a page holds, and after which row's keys it begins. */
export type Page = { readonly limit: number; readonly after?: readonly string[] };

/** What a caller asks for; 0 and "" where it does not. */
export type AskedPage = { readonly pageSize: number; readonly pageToken: string };

const usual = 50;
const most = 1000;
/** What a page weighs at most, but for its first row: gRPC clients take no message over 4 MiB. */
export const pageBytes = 3 * 2 ** 20;

/** Reads a page as a caller asked for it. A token holds only for the query that made it, which knows its rows by so many keys. */
export function readPage({ pageSize, pageToken }: AskedPage, query: readonly unknown[], keys: number): Page {
  if (pageSize < 0) throw Invalid.at("REQUEST_INVALID", "page_size", "must not be negative", "range");
  const limit = Math.min(pageSize || usual, most);
  if (pageToken === "") return { limit };
  const [hash, ...after] = decode(pageToken);
  if (hash !== queryHash(query) || after.length !== keys) throw tokenFault();
  return { limit, after };
}

/** Thrown where a page_token is none, or another query's. */
export function tokenFault(): Invalid {
  const description = "is none of this query's: send the token of the page before, and the same query";
  return Invalid.at("PAGE_TOKEN_INVALID", "page_token", description, "page_token");
}

/** A row that was found, with its keys in the order that was asked for. */
export type Found<Row> = {
  readonly row: Row;
  readonly keys: readonly string[];
  /** True of the last, where more rows were found than were read. */
  readonly isCut?: boolean;
};

/** As many rows as the page may hold, and the token of the next; "" where there is none. Give it one row more than the limit to see that there is. */
export function turnPage<Row>(
  found: readonly Found<Row>[],
  { limit }: Page,
  query: readonly unknown[],
  weighRow: (row: Row) => number = weigh,
): { rows: Row[]; nextPageToken: string } {
  const rows: Row[] = [];
  let bytes = 0;
  for (const { row, keys } of found.slice(0, limit)) {
    bytes += weighRow(row);
    // The keys may be the page's token, which is longer by a third.
    if (bytes + (weigh(keys) * 4) / 3 > pageBytes && rows.length > 0) break;
    rows.push(row);
  }
  const last = found[rows.length - 1];
  const isMore = found.length > rows.length || last?.isCut;
  return { rows, nextPageToken: last && isMore ? encode([queryHash(query), ...last.keys]) : "" };
}

const encode = (parts: readonly string[]) => Buffer.from(JSON.stringify(parts)).toString("base64url");

function decode(token: string): string[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    return Array.isArray(parts) && parts.every((part) => typeof part === "string") ? parts : [];
  } catch {
    return [];
  }
}

function queryHash(query: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 16);
}
