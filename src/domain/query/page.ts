import { createHash } from "node:crypto";
import { Invalid } from "../faults.ts";
import { weigh } from "./size.ts";

/** The size of a page, and the keys of the row before it. */
export type Page = { readonly limit: number; readonly after?: readonly string[] };

/** The page that a caller asks for; 0 and "" if not set. */
export type AskedPage = { readonly pageSize: number; readonly pageToken: string };

const defaultSize = 50;
const maxSize = 1000;
/** Maximum size of a page unless its first row is larger: gRPC clients accept messages of 4 MiB. */
export const pageBytes = 3 * 2 ** 20;

/**
 * Reads the page of a request. A token is valid only for the query that made it; `keys` is how many
 * keys a row has.
 */
export function readPage({ pageSize, pageToken }: AskedPage, query: readonly unknown[], keys: number): Page {
  if (pageSize < 0) throw Invalid.at("REQUEST_INVALID", "page_size", "must not be negative", "range");
  const limit = Math.min(pageSize || defaultSize, maxSize);
  if (pageToken === "") return { limit };
  const [hash, ...after] = decode(pageToken);
  if (hash !== queryHash(query) || after.length !== keys) throw tokenFault();
  return { limit, after };
}

/** Thrown when a page_token is malformed or belongs to another query. */
export function tokenFault(): Invalid {
  const description =
    "does not belong to this query; repeat the query of the previous page with its next_page_token";
  return Invalid.at("PAGE_TOKEN_INVALID", "page_token", description, "page_token");
}

/** A found row, with its keys in the requested order. */
export type Found<Row> = {
  readonly row: Row;
  readonly keys: readonly string[];
  /** True for the last row if more rows were found than read. */
  readonly isCut?: boolean;
};

/**
 * The rows that fit the page, and the token of the next page, "" for none. Pass one row more than
 * the limit, so that the next page shows.
 */
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
    // The keys may become the page token, whose encoding is a third longer.
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
