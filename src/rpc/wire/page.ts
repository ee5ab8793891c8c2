const mostTotal = 2 ** 31 - 1;

/** Where the next page begins, and how many rows there are, where somebody asked. */
export function pageMessage({ nextPageToken, total }: { nextPageToken: string; total?: number }) {
  return { nextPageToken, ...(total !== undefined && { totalSize: Math.min(total, mostTotal) }) };
}
