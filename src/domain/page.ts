import { createHash } from "node:crypto";
import { Invalid } from "./faults.ts";
import { isUuid } from "./uuid.ts";

/** How many a page holds, and after which id it begins. */
export type Page = { readonly limit: number; readonly after?: string };

const usual = 50;
const most = 1000;

/** Reads a page as a caller asked for it. A token holds only for the query that made it. */
export function readPage(asked: { pageSize: number; pageToken: string }, query: readonly string[]): Page {
  if (asked.pageSize < 0)
    throw new Invalid("REQUEST_INVALID", [{ field: "page_size", description: "must not be negative", reason: "range" }]);
  const limit = Math.min(asked.pageSize || usual, most);
  return asked.pageToken === "" ? { limit } : { limit, after: readToken(asked.pageToken, query) };
}

/** The token of the page after this one; "" where there is none. Give it one row more than the limit to see that there is. */
export function turnPage<Row extends { id: string }>(rows: readonly Row[], { limit }: Page, query: readonly string[]) {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextPageToken = rows.length > limit && last ? `${last.id}.${queryHash(query)}` : "";
  return { rows: shown, nextPageToken: Buffer.from(nextPageToken).toString("base64url") };
}

function readToken(token: string, query: readonly string[]): string {
  const [after = "", hash] = Buffer.from(token, "base64url").toString().split(".");
  if (isUuid(after) && hash === queryHash(query)) return after;
  const description = "is none of this query's: send the token of the page before, and the same query";
  throw new Invalid("PAGE_TOKEN_INVALID", [{ field: "page_token", description, reason: "page_token" }]);
}

function queryHash(query: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 16);
}
