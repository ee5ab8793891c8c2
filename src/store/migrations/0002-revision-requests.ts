import type { Migration } from "../migrate.ts";

/** The request_id of a call that makes a revision is stored in the revision's row. */
export const up: Migration = async (run) => {
  await run(`
    ALTER TABLE program_revisions
      ADD COLUMN request_method text,
      ADD COLUMN request_id uuid,
      ADD COLUMN request_hash text,
      ADD UNIQUE (project_id, request_method, request_id),
      ADD CHECK ((request_id IS NULL) = (request_hash IS NULL) AND (request_id IS NULL) = (request_method IS NULL))`);
  // Serves CancelExecution by request_id, of any method.
  await run(
    "CREATE INDEX executions_by_request ON executions (project_id, request_id) WHERE request_id IS NOT NULL",
  );
};
