import { StoreUnavailable } from "../../domain/faults.ts";

/** How long a statement may take. */
export type Patience = {
  /**
   * Maximum time without a byte on the connection. After that the connection is closed, because
   * nothing tells a server that is slow from one that is gone.
   */
  readonly silenceMs: number;
  /** Maximum time until the caller is told, including the wait for a connection. */
  readonly totalMs: number;
};

/** Maximum time to open a connection, and to wait for one of the pool. */
export const connectMs = 4_000;
/** PostgreSQL cancels a statement after this time, before the connection counts as silent. */
export const statementTimeoutMs = 8_000;

/** Callers get their answer within 10 s. */
export const ordinary: Patience = { silenceMs: 5_000, totalMs: 8_500 };
/** Lists, counts, aggregates, deletions in bulk, the job queue. */
export const slow: Patience = { silenceMs: 9_000, totalMs: 9_500 };
/** Migrations: an index on a large table takes as long as it takes. */
export const endless: Patience = { silenceMs: Number.POSITIVE_INFINITY, totalMs: Number.POSITIVE_INFINITY };

/** PostgreSQL stores at least 4 MiB/s of JSON. */
const bytesPerMs = 4_096;

/** For a write of many bytes. Its callers have a time-out of their own. */
export function patienceFor(bytes: number): Patience {
  const silenceMs = ordinary.silenceMs + Math.ceil(bytes / bytesPerMs);
  return { silenceMs, totalMs: silenceMs + connectMs };
}

/** Rejects after `totalMs`. The work goes on, and its result is dropped. */
export function within<T>({ totalMs }: Patience, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new StoreUnavailable(new Error(`no answer within ${totalMs / 1000} s`)));
    const timer = setTimeout(late, totalMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
