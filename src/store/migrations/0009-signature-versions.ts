import type { Migration } from "../migrate.ts";

/**
 * Versions of signatures that share a name. Rows of the release before are version 1, and so are
 * the rows that such a gateway writes meanwhile.
 */
export const up: Migration = async (run) => {
  await run(`
    ALTER TABLE signatures
      ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version > 0),
      DROP CONSTRAINT signatures_project_id_name_key,
      ADD UNIQUE (project_id, name, version),
      ADD UNIQUE (project_id, name, content_hash)`);
};
