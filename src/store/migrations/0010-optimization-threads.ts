import type { Migration } from "../migrate.ts";

/** Threads of an optimization; 0, DSPy's default, in rows of the release before. */
export const up: Migration = async (run) => {
  await run("ALTER TABLE optimizations ADD COLUMN threads integer NOT NULL DEFAULT 0 CHECK (threads >= 0)");
};
