import type { Migration } from "../migrate.ts";

/** Attempts of executions. Rows of the release before have none and are first attempts. */
export const up: Migration = async (run) => {
  await run("ALTER TABLE executions ADD COLUMN attempt integer NOT NULL DEFAULT 1 CHECK (attempt > 0)");
  // The row after the change, without its inputs, for changes that a later attempt may overwrite,
  // and for later attempts. Null for others: the row itself tells how a first attempt was.
  await run("ALTER TABLE execution_changes ADD COLUMN state jsonb");
  await run(`
    CREATE OR REPLACE FUNCTION log_execution_changes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        INSERT INTO execution_changes (project_id, execution_id, labels, changed_at, remains)
        SELECT project_id, id, labels, now(), to_jsonb(changed) - ARRAY['inputs', 'outputs', 'steps', 'violations'] FROM changed;
      ELSE
        INSERT INTO execution_changes (project_id, execution_id, status, labels, changed_at, state)
        SELECT project_id, id, status, labels, updated_at, CASE
          WHEN status = 'failed' AND error_reason IN ('INTERRUPTED', 'SIDECAR_UNAVAILABLE') THEN to_jsonb(changed) - 'inputs'
          WHEN attempt > 1 AND status = 'running' THEN to_jsonb(changed) - 'inputs'
          WHEN attempt > 1 THEN '{}'::jsonb
        END FROM changed;
      END IF;
      RETURN NULL;
    END $$`);
};
