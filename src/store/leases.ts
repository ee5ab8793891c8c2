import { QueryTypes } from "sequelize";
import type { Database } from "./database.ts";

/** A gateway counts as dead if it has not renewed its lease for this long. */
export const leaseMs = 15_000;

export type Leases = {
  /** Renews this gateway's lease, by PostgreSQL's clock: the clocks of gateways may differ. */
  renew(): Promise<void>;
  /** Gives up this gateway's lease, when it runs nothing any more. */
  release(): Promise<void>;
  /**
   * Fails, with INTERRUPTED, the runs that gateways without a lease left running. Returns their
   * ids.
   */
  sweep(): Promise<string[]>;
};

/** The lease of one gateway process, and the sweep of those whose lease ran out. */
export function createLeases(database: Database, runnerId: string): Leases {
  const run = (sql: string, bind: unknown[]) =>
    database.use(() => database.sequelize.query<{ id: string }>(sql, { bind, type: QueryTypes.SELECT }));
  return {
    renew: async () => void (await run(renewSql, [runnerId, leaseMs])),
    release: async () => void (await run("DELETE FROM leases WHERE runner_id = $1", [runnerId])),
    async sweep() {
      await run("DELETE FROM leases WHERE expires_at < now()", []);
      await run(sweepEvaluationsSql, []);
      return (await run(sweepSql, [])).map(({ id }) => id);
    },
  };
}

const renewSql = `
  INSERT INTO leases (runner_id, expires_at) VALUES ($1, now() + $2 * interval '1 millisecond')
  ON CONFLICT (runner_id) DO UPDATE SET expires_at = excluded.expires_at`;

// At most 1,000 rows, and none that another gateway's sweep has locked. A run may have ended before
// now, so duration_ms is an upper bound.
const sweepSql = `
  UPDATE executions AS e
  SET status = 'failed', error_reason = 'INTERRUPTED', error_message = 'the process that ran it died', completed_at = now(), updated_at = now(),
      duration_ms = greatest(0, extract(epoch FROM now() - e.started_at) * 1000)::bigint
  FROM (
    SELECT project_id, id FROM executions AS lost
    WHERE status = 'running' AND runner_id IS NOT NULL AND NOT EXISTS (SELECT FROM leases WHERE leases.runner_id = lost.runner_id)
    LIMIT 1000 FOR UPDATE SKIP LOCKED
  ) AS lost
  WHERE e.project_id = lost.project_id AND e.id = lost.id
  RETURNING e.id`;

const sweepEvaluationsSql = `
  UPDATE evaluations SET status = 'failed', error_reason = 'INTERRUPTED', completed_at = now()
  WHERE status = 'running' AND NOT EXISTS (SELECT FROM leases WHERE leases.runner_id = evaluations.runner_id)`;
