import { createHash } from "node:crypto";
import type { Schemas } from "./migrate.ts";

/** pg-boss derives names from its schema's, so its maximum is below PostgreSQL's 63 bytes. */
const maxJobsBytes = 50;
const suffix = "_jobs";

/** The schema of the tables, and the one of the job queue, whose name is hashed if it is long. */
export function schemasOf(schema: string): Schemas {
  if (schema.length + suffix.length <= maxJobsBytes) return { schema, jobs: schema + suffix };
  const hash = createHash("sha256").update(schema).digest("hex").slice(0, 8);
  const head = schema.slice(0, maxJobsBytes - suffix.length - hash.length - 1);
  return { schema, jobs: `${head}_${hash}${suffix}` };
}
