import type { Migration } from "../migrate.ts";

/** The log of changes of executions, for WatchExecutions. */
export const up: Migration = async (run) => {
  await run(`
    CREATE TABLE execution_changes (
      -- Watchers read by transaction, because numbers are not committed in their order.
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
      number bigint GENERATED ALWAYS AS IDENTITY,
      project_id uuid NOT NULL,
      execution_id uuid NOT NULL,
      -- Status and labels after the change; the rest is in the execution. A null status says that
      -- it was deleted; remains holds its last row.
      status text,
      labels jsonb NOT NULL,
      changed_at timestamptz NOT NULL,
      remains jsonb CHECK ((remains IS NULL) = (status IS NOT NULL)),
      PRIMARY KEY (xid, number)
    )`);
  // A mark is a snapshot of all projects. The log is read from mark to mark, and forgotten up to a
  // mark.
  await run(`
    CREATE TABLE change_marks (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      snapshot pg_snapshot NOT NULL,
      taken_at timestamptz NOT NULL DEFAULT now(),
      is_forgotten boolean NOT NULL DEFAULT false
    )`);
  await run(`
    CREATE FUNCTION log_execution_changes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        INSERT INTO execution_changes (project_id, execution_id, labels, changed_at, remains)
        SELECT project_id, id, labels, now(), to_jsonb(changed) - ARRAY['inputs', 'outputs', 'steps', 'violations'] FROM changed;
      ELSE
        INSERT INTO execution_changes (project_id, execution_id, status, labels, changed_at)
        SELECT project_id, id, status, labels, updated_at FROM changed;
      END IF;
      RETURN NULL;
    END $$`);
  for (const [event, table] of [
    ["INSERT", "NEW"],
    ["UPDATE", "NEW"],
    ["DELETE", "OLD"],
  ])
    await run(`
      CREATE TRIGGER log_${event} AFTER ${event} ON executions REFERENCING ${table} TABLE AS changed
      FOR EACH STATEMENT EXECUTE FUNCTION log_execution_changes()`);
};
