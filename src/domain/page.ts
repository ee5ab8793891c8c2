import { createHash } from "node:crypto";
import { Invalid } from "./faults.ts";
import { isUuid } from "./uuid.ts";

/** How many a page holds, and after which row's key it begins. */
export type Page = { readonly limit: number; readonly after?: string };

/** What a caller asks for; 0 and "" where it does not. */
export type AskedPage = { readonly pageSize: number; readonly pageToken: string };

const usual = 50;
const most = 1000;

/** Reads a page as a caller asked for it. A token holds only for the query that made it; rows are known by UUIDs, or else as isKey says. */
export function readPage({ pageSize, pageToken }: AskedPage, query: readonly string[], isKey: (key: string) => boolean = isUuid): Page {
  if (pageSize < 0) throw new Invalid("REQUEST_INVALID", [{ field: "page_size", description: "must not be negative", reason: "range" }]);
  const limit = Math.min(pageSize || usual, most);
  if (pageToken === "") return { limit };
  const [after = "", hash] = Buffer.from(pageToken, "base64url").toString().split(".");
  if (isKey(after) && hash === queryHash(query)) return { limit, after };
  const description = "is none of this query's: send the token of the page before, and the same query";
  throw new Invalid("PAGE_TOKEN_INVALID", [{ field: "page_token", description, reason: "page_token" }]);
}

/** The token of the page after this one; "" where there is none. Give it one row more than the limit to see that there is. */
export function turnPage<Row>(rows: readonly Row[], { limit }: Page, query: readonly string[], keyOf: (row: Row) => string | number) {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextPageToken = rows.length > limit && last ? `${keyOf(last)}.${queryHash(query)}` : "";
  return { rows: shown, nextPageToken: Buffer.from(nextPageToken).toString("base64url") };
}

function queryHash(query: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 16);
}
