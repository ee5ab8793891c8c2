import { type AskedList, type KeyField, type Listing, readListing } from "../domain/query/listing.ts";
import { type Found, turnPage } from "../domain/query/page.ts";
import type { Fields } from "../domain/query/queryable.ts";

export type List<Row> = {
  readonly rows: readonly Row[];
  readonly nextPageToken: string;
  readonly total?: number;
};

/** Reads the rows of one noun. */
export type Source<Row> = {
  find(listing: Listing): Promise<Found<Row>[]>;
  count(listing: Listing): Promise<number>;
  /** Size of a row in an answer, in bytes, if that is more than the size of its values. */
  bytesOf?(row: Row): number;
};

/** Gives one page of rows. `scope` is part of the page token, which fits only its own list. */
export async function list<Row>(
  request: AskedList,
  fields: Fields,
  scope: readonly string[],
  source: Source<Row>,
  key?: KeyField,
): Promise<List<Row>> {
  const { listing, query } = readListing(request, fields, scope, key);
  // One row more than the page holds shows whether there is a next page.
  const find = source.find({ ...listing, limit: listing.limit + 1 });
  const [found, total] = await Promise.all([find, request.countTotal ? source.count(listing) : undefined]);
  return { ...turnPage(found, listing, query, source.bytesOf), ...(total !== undefined && { total }) };
}
