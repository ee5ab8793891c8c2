import type { Condition } from "../../domain/query/condition.ts";
import type { Listing } from "../../domain/query/listing.ts";
import type { revisionFields } from "../../domain/query/queryable.ts";
import type { Queryable } from "../query/queryable.ts";
import { type Column, noUuid } from "../query/where.ts";
import { revisionFrom } from "./revision-row.ts";

/** What callers may query of a program's revisions. */
export const queryableRevisions: Queryable = {
  from: revisionFrom,
  projectId: "r.project_id",
  columns: {
    program_id: { sql: "r.program_id" },
    number: { sql: "r.number" },
    origin: { sql: "r.origin" },
    status: { sql: "r.status" },
    signature_id: { sql: "r.signature_id" },
    dspy_program_id: { sql: "r.dspy_program_id" },
    optimization_id: { sql: "r.optimization_id", nullSortsAs: noUuid },
    score: { sql: "r.score", nullSortsAs: "'-Infinity'::double precision" },
    error_reason: { sql: "r.error_reason" },
    error_message: { sql: "r.error_message" },
    created_at: { sql: "r.created_at" },
  } satisfies Record<keyof typeof revisionFields | "program_id", Column>,
};

/** Narrows a listing to the revisions of one program. */
export function ofProgram(programId: string, listing: Listing): Listing {
  const isOfProgram: Condition = {
    op: "=",
    target: { field: "program_id", kind: "uuid", path: [] },
    value: programId,
  };
  const where: Condition = listing.where ? { op: "and", of: [isOfProgram, listing.where] } : isOfProgram;
  return { ...listing, where };
}
