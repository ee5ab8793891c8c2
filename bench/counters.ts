import { setTimeout as sleep } from "node:timers/promises";
import { query } from "./database.ts";

/** PostgreSQL's counters since its start. */
export type Counters = {
  readonly commits: number;
  readonly inserted: number;
  readonly updated: number;
  readonly walBytes: number;
  /** Number of times that the WAL was forced to disk. */
  readonly walSyncs: number;
  /** Bytes of the table of executions with its indexes. */
  readonly executionBytes: number;
  /** Bytes of the log of changes with its indexes. */
  readonly changeBytes: number;
};

/** An idle backend of PostgreSQL reports its counters after at most 10 s. */
const maxReportDelayMs = 11_000;

const sql = `
  SELECT xact_commit::float8 AS commits, tup_inserted::float8 AS inserted, tup_updated::float8 AS updated,
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS "walBytes",
    (SELECT sum(fsyncs)::float8 FROM pg_stat_io WHERE object = 'wal') AS "walSyncs",
    pg_total_relation_size('executions')::float8 AS "executionBytes",
    pg_total_relation_size('execution_changes')::float8 AS "changeBytes"
  FROM pg_stat_database WHERE datname = current_database()`;

/** Waits until the counters are complete, and reads them. */
export async function readCounters(url: string): Promise<Counters> {
  await sleep(maxReportDelayMs);
  return (await query<Counters>(url, sql))[0] as Counters;
}

/** Number of connections that the gateways hold. */
export async function connections(url: string): Promise<number> {
  const [row] = await query<{ count: number }>(
    url,
    "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'sigrun' AND datname = current_database()",
  );
  return row?.count ?? 0;
}
