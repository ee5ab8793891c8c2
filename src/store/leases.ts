import type { Database } from "./database.ts";

/** A gateway counts as dead if it has not renewed its lease for this long. */
export const leaseMs = 15_000;

/** Two renewals failed. */
const heldMs = 11_000;

export type Leases = {
  /** Renews this gateway's lease. */
  renew(): Promise<void>;
  /** False if this gateway could not renew its lease twice. */
  isHeld(): boolean;
  /** Gives up this gateway's lease, when it runs nothing any more. */
  release(): Promise<void>;
  /** Ends the leases that this gateway has seen unchanged for the time of a lease. */
  expire(): Promise<void>;
  /** Forgets what was seen: after an outage every gateway gets the time of a lease anew. */
  forget(): void;
  /**
   * Fails, with INTERRUPTED, the runs that gateways without a lease left running. Returns their
   * ids.
   */
  sweep(): Promise<string[]>;
};

/**
 * The lease of one gateway process, and the sweep of those that died. Whether a lease is renewed is
 * judged by this process alone, which compares what it reads now with what it read before, by a
 * clock that runs only while the database answers. PostgreSQL's clock would count an outage, in
 * which no gateway can renew, and could jump at a failover.
 */
export function createLeases(database: Database, runnerId: string): Leases {
  let renewedAt = Number.NEGATIVE_INFINITY;
  /** The last value of each other lease, and when it was first seen. */
  let seen = new Map<string, { value: string; at: number }>();

  return {
    async renew() {
      await database.rows({ sql: renewSql, name: "renew lease" }, [runnerId, leaseMs]);
      renewedAt = performance.now();
    },
    isHeld: () => performance.now() - renewedAt < heldMs,
    release: async () => void (await database.rows({ sql: releaseSql }, [runnerId])),

    async expire() {
      const leases = await database.rows<{ id: string; value: string }>(
        { sql: readSql, name: "read leases" },
        [runnerId],
      );
      const now = performance.now();
      const before = seen;
      seen = new Map(
        leases.map(({ id, value }) => {
          const last = before.get(id);
          return [id, last?.value === value ? last : { value, at: now }];
        }),
      );
      const dead = [...seen].filter(([, { at }]) => now - at >= leaseMs);
      for (const [id, { value }] of dead) await database.rows({ sql: expireSql }, [id, value]);
    },
    forget: () => seen.clear(),

    async sweep() {
      await database.rows({ sql: sweepEvaluationsSql });
      return (await database.rows<{ id: string }>({ sql: sweepSql })).map(({ id }) => id);
    },
  };
}

// expires_at is read by gateways of earlier versions.
const renewSql = `
  INSERT INTO sigrun.leases (runner_id, expires_at) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
  ON CONFLICT (runner_id) DO UPDATE SET expires_at = excluded.expires_at`;

const releaseSql = "DELETE FROM sigrun.leases WHERE runner_id = $1";

const readSql = "SELECT runner_id AS id, expires_at::text AS value FROM sigrun.leases WHERE runner_id <> $1";

// A lease that was renewed since it was read stays.
const expireSql = "DELETE FROM sigrun.leases WHERE runner_id = $1 AND expires_at = $2::timestamptz";

// At most 1,000 rows, and none that another gateway's sweep has locked. A run may have ended before
// now, so duration_ms is an upper bound.
const sweepSql = `
  UPDATE sigrun.executions AS e
  SET status = 'failed', error_reason = 'INTERRUPTED', error_message = 'the process that ran it died', completed_at = now(), updated_at = now(),
      duration_ms = greatest(0, extract(epoch FROM now() - e.started_at) * 1000)::bigint
  FROM (
    SELECT project_id, id FROM sigrun.executions AS lost
    WHERE status = 'running' AND runner_id IS NOT NULL AND NOT EXISTS (SELECT FROM sigrun.leases WHERE leases.runner_id = lost.runner_id)
    LIMIT 1000 FOR UPDATE SKIP LOCKED
  ) AS lost
  WHERE e.project_id = lost.project_id AND e.id = lost.id
  RETURNING e.id`;

const sweepEvaluationsSql = `
  UPDATE sigrun.evaluations SET status = 'failed', error_reason = 'INTERRUPTED', completed_at = now()
  WHERE status = 'running' AND NOT EXISTS (SELECT FROM sigrun.leases WHERE leases.runner_id = evaluations.runner_id)`;
