import { Invalid } from "../faults.ts";
import { type Condition, readCondition } from "./condition.ts";
import { readOrder, readTargets, type Term } from "./order.ts";
import { type AskedPage, readPage } from "./page.ts";
import type { Fields, Kind, Target } from "./queryable.ts";

/** The request of a List RPC. */
export type AskedList = AskedPage & {
  readonly filter: string;
  readonly orderBy: string;
  readonly skip: number;
  readonly countTotal: boolean;
  readonly distinctOn?: readonly string[];
};

/** A list request after parsing: which rows, in which order, from which row on. */
export type Listing = {
  readonly where: Condition | null;
  /** Ends with the key of the rows, so that the order is total. */
  readonly order: readonly Term[];
  /** Only the first row, in order, for each combination of these values. */
  readonly distinct: readonly Target[];
  readonly skip: number;
  readonly limit: number;
  /** The keys of the row before the page, one per term of the order. */
  readonly after?: readonly string[];
};

/** The key of the rows; its order is the order of creation. */
export type KeyField = "id" | "number";

/**
 * Parses a list request; the default order is newest first. `query` is what a page token is bound
 * to; `of` identifies the collection.
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

/** Appends the key, in the direction of the term before it. */
function endInKey(order: readonly Term[], key: Target): readonly Term[] {
  const place = order.findIndex(({ target }) => target.field === key.field);
  if (place >= 0) return order.slice(0, place + 1);
  return [...order, { target: key, isDescending: order.at(-1)?.isDescending ?? true }];
}
