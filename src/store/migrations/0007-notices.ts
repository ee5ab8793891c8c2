import type { Migration } from "../migrate.ts";

/** Notices for gateways that can't listen, behind a pooler. They are kept for a minute. */
export const up: Migration = async (run) => {
  await run(`
    CREATE TABLE notices (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      kind text NOT NULL,
      project_id uuid NOT NULL,
      about uuid NOT NULL,
      sent_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )`);
};
