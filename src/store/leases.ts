import { QueryTypes } from "sequelize";
import type { Database } from "./database.ts";

/** A gateway that has not renewed its lease for this long is taken for dead. */
export const leaseMs = 15_000;

export type Leases = {
  /** Says that this gateway lives. PostgreSQL's clock counts, so that gateways need not agree on the time. */
  renew(): Promise<void>;
  /** Says that this gateway runs nothing any more. */
  release(): Promise<void>;
  /** Records as failed, INTERRUPTED, what gateways without a lease left running; gives the ids of the runs. */
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

// In steps, and past rows that another gateway's sweep holds. Their time ended no later than now, so the duration is an upper bound.
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
