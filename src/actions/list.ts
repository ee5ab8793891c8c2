import { type AskedList, type Found, type Listing, readListing } from "../domain/listing.ts";
import { turnPage } from "../domain/page.ts";
import type { Fields } from "../domain/queryable.ts";

export type List<Row> = { readonly rows: readonly Row[]; readonly nextPageToken: string; readonly total?: number };

/** Where a noun's rows come from. */
export type Source<Row> = { find(listing: Listing): Promise<Found<Row>[]>; count(listing: Listing): Promise<number> };

/** Gives a page of a noun's rows; `of` says whose they are. */
export async function list<Row>(asked: AskedList, fields: Fields, of: readonly string[], source: Source<Row>): Promise<List<Row>> {
  const { listing, query } = readListing(asked, fields, of);
  // One row more than the page holds shows whether there is a next one.
  const find = source.find({ ...listing, limit: listing.limit + 1 });
  const [found, total] = await Promise.all([find, asked.countTotal ? source.count(listing) : undefined]);
  const { rows, nextPageToken } = turnPage(found, listing, query, ({ keys }) => keys);
  return { rows: rows.map(({ row }) => row), nextPageToken, ...(total !== undefined && { total }) };
}
