import { type AskedList, type KeyField, type Listing, readListing } from "../domain/query/listing.ts";
import { type Found, turnPage } from "../domain/query/page.ts";
import type { Fields } from "../domain/query/queryable.ts";

export type List<Row> = {
  readonly rows: readonly Row[];
  readonly nextPageToken: string;
  readonly total?: number;
};

/** Where a noun's rows come from. */
export type Source<Row> = {
  find(listing: Listing): Promise<Found<Row>[]>;
  count(listing: Listing): Promise<number>;
  /** How many bytes a row takes in an answer, where that is more than its values do. */
  weigh?(row: Row): number;
};

/** Gives a page of a noun's rows; `of` says whose they are. */
export async function list<Row>(
  asked: AskedList,
  fields: Fields,
  of: readonly string[],
  source: Source<Row>,
  key?: KeyField,
): Promise<List<Row>> {
  const { listing, query } = readListing(asked, fields, of, key);
  // One row more than the page holds shows whether there is a next one.
  const find = source.find({ ...listing, limit: listing.limit + 1 });
  const [found, total] = await Promise.all([find, asked.countTotal ? source.count(listing) : undefined]);
  return { ...turnPage(found, listing, query, source.weigh), ...(total !== undefined && { total }) };
}
