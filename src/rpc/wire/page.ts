const maxTotal = 2 ** 31 - 1;

/** The token of the next page, and the number of rows if the caller asked for it. */
export function pageMessage({ nextPageToken, total }: { nextPageToken: string; total?: number }) {
  return { nextPageToken, ...(total !== undefined && { totalSize: Math.min(total, maxTotal) }) };
}
