import { Invalid } from "../faults.ts";
import { type Condition, readCondition } from "./condition.ts";
import { readOrder, readTargets, type Term } from "./order.ts";
import { type AskedPage, readPage } from "./page.ts";
import type { Fields, Kind, Target } from "./queryable.ts";

/** What a caller asks a List RPC for. */
export type AskedList = AskedPage & {
  readonly filter: string;
  readonly orderBy: string;
  readonly skip: number;
  readonly countTotal: boolean;
  readonly distinctOn?: readonly string[];
};

/** The same, read: which rows, in which order, from where on. */
export type Listing = {
  readonly where: Condition | null;
  /** Ends in what the rows are known by, so that no two are alike. */
  readonly order: readonly Term[];
  /** One row for each value of these: the first in order. */
  readonly distinct: readonly Target[];
  readonly skip: number;
  readonly limit: number;
  /** The keys of the row before the page, one for each term of the order. */
  readonly after?: readonly string[];
};

/** What rows are known by; its order is the one in which they were made. */
export type KeyField = "id" | "number";

/**
 * Reads what a caller asks for; newest first where it does not say. The query is what a page token is bound to; `of` says
 * whose rows they are.
 */
export function readListing(
  asked: AskedList,
  fields: Fields,
  of: readonly string[],
  key: KeyField = "id",
): { listing: Listing; query: readonly unknown[] } {
  const { filter, orderBy, skip, distinctOn = [] } = asked;
  if (skip < 0) throw Invalid.at("REQUEST_INVALID", "skip", "must not be negative", "range");
  const where = readCondition(filter, fields);
  const distinct = readTargets(distinctOn, fields, "distinct_on");
  const order = endInKey(readOrder(orderBy, fields), { field: key, kind: fields[key] as Kind, path: [] });
  const query = [...of, filter, orderBy, distinctOn];
  return { listing: { where, order, distinct, skip, ...readPage(asked, query, order.length) }, query };
}

/** The key decides where all else is alike, in the direction of what comes before it. */
function endInKey(order: readonly Term[], key: Target): readonly Term[] {
  const place = order.findIndex(({ target }) => target.field === key.field);
  if (place >= 0) return order.slice(0, place + 1);
  return [...order, { target: key, isDescending: order.at(-1)?.isDescending ?? true }];
}
