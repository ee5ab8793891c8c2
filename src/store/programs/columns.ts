import type { programFields } from "../../domain/query/queryable.ts";
import type { Queryable } from "../query/queryable.ts";
import type { Column } from "../query/where.ts";
import { programFrom } from "./row.ts";

/** What callers may query of programs. Fields of a revision are those of the newest one. */
export const queryablePrograms: Queryable = {
  from: programFrom,
  projectId: "p.project_id",
  columns: {
    id: { sql: "p.id" },
    handle: { sql: "p.handle" },
    name: { sql: "p.name" },
    description: { sql: "p.description" },
    status: { sql: "(CASE WHEN p.deployed_revision IS NULL THEN r.status ELSE 'deployed' END)" },
    revision: { sql: "p.newest_revision" },
    deployed_revision: { sql: "p.deployed_revision", nullSortsAs: "0" },
    signature_id: { sql: "r.signature_id" },
    dspy_program_id: { sql: "r.dspy_program_id" },
    labels: { sql: "p.labels" },
    performance_metrics: {
      sql: "CASE WHEN r.score IS NOT NULL THEN jsonb_build_object('score', r.score) END",
    },
    error_reason: { sql: "r.error_reason" },
    error_message: { sql: "r.error_message" },
    created_at: { sql: "p.created_at" },
    updated_at: { sql: "p.updated_at" },
  } satisfies Record<keyof typeof programFields, Column>,
};
