import type { Migration } from "../migrate.ts";

/** How the model ended the last answer of a run; "" in rows of older versions. */
export const up: Migration = async (run) => {
  await run("ALTER TABLE executions ADD COLUMN finish_reason text NOT NULL DEFAULT ''");
};
