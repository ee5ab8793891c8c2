import type { Database } from "../database.ts";

export type OwnRuns = {
  /** The ids of the runs that are on record as running in this gateway process. */
  running(): Promise<readonly string[]>;
  /**
   * Fails runs of this gateway process, with INTERRUPTED. Returns the ids of those that had not
   * ended.
   */
  interrupt(ids: readonly string[]): Promise<readonly string[]>;
};

/** Reads and ends what the record says of this gateway process. */
export function createOwnRuns(database: Database, runnerId: string): OwnRuns {
  const idsOf = (rows: readonly { id: string }[]) => rows.map(({ id }) => id);
  return {
    running: async () => idsOf(await database.rows({ sql: runningSql, name: "own runs" }, [runnerId])),
    interrupt: async (ids) => idsOf(await database.rows({ sql: interruptSql }, [runnerId, ids])),
  };
}

const runningSql = "SELECT id FROM sigrun.executions WHERE status = 'running' AND runner_id = $1";

const interruptSql = `
  UPDATE sigrun.executions
  SET status = 'failed', error_reason = 'INTERRUPTED', error_message = 'the gateway lost the run before it ended',
      completed_at = now(), updated_at = now(),
      duration_ms = greatest(0, extract(epoch FROM now() - started_at) * 1000)::bigint
  WHERE status = 'running' AND runner_id = $1 AND id = ANY($2::uuid[])
  RETURNING id`;
