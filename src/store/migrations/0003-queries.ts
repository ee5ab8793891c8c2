import type { Migration } from "../migrate.ts";

/** Indexes for queries of executions. */
export const up: Migration = async (run) => {
  // created_at is made from the id, a UUIDv7, so that both have one order and the id's index serves
  // both.
  await run(`
    ALTER TABLE executions
      DROP COLUMN created_at,
      ADD COLUMN created_at timestamptz NOT NULL GENERATED ALWAYS AS
        (to_timestamp((('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)::double precision)) STORED`);
  await run("CREATE INDEX executions_by_status ON executions (project_id, status, id DESC)");
  await run(
    "CREATE INDEX executions_by_error ON executions (project_id, error_reason, id DESC) WHERE error_reason <> ''",
  );
  // The same expression as in store/query/where.ts.
  await run("CREATE INDEX executions_by_duration ON executions (project_id, coalesce(duration_ms, -1), id)");
  await run("CREATE INDEX executions_by_label ON executions USING gin (labels jsonb_path_ops)");
  await run(
    "CREATE INDEX executions_by_output ON executions USING gin (outputs jsonb_path_ops) WHERE outputs IS NOT NULL",
  );
  await run("CREATE INDEX executions_by_input ON executions USING gin (inputs jsonb_path_ops)");
};
