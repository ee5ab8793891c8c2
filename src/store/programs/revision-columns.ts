import type { Condition } from "../../domain/query/condition.ts";
import type { Listing } from "../../domain/query/listing.ts";
import type { revisionFields } from "../../domain/query/queryable.ts";
import type { Queryable } from "../query/queryable.ts";
import { type Column, noUuid } from "../query/where.ts";

/** A revision with its signature. */
export const revisionFrom =
  "program_revisions AS r JOIN signatures AS s ON s.project_id = r.project_id AND s.id = r.signature_id";

/** What a Revision is made from. */
export const revisionColumns = `
  r.program_id, r.number, r.origin, r.status, r.signature_id, r.modules, r.outputs AS output_wires, r.lm, r.compiled_state, r.dspy_program_id, r.score, r.optimization_id,
  r.error_reason, r.error_message, r.created_at AS revision_created_at, s.name AS signature_name, s.instructions, s.inputs, s.outputs`;

/** The same without compiled_state, which may be large. */
export const listedRevision = revisionColumns.replace("r.compiled_state", "'' AS compiled_state");

/** About how many bytes a row has that was read so. */
export const revisionBytes =
  "octet_length(page.compiled_state) + octet_length(page.modules::text) + octet_length(page.inputs::text)";

/** What callers may ask of the revisions of a program. */
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
    optimization_id: { sql: "r.optimization_id", least: noUuid },
    score: { sql: "r.score", least: "'-Infinity'::double precision" },
    error_reason: { sql: "r.error_reason" },
    error_message: { sql: "r.error_message" },
    created_at: { sql: "r.created_at" },
  } satisfies Record<keyof typeof revisionFields | "program_id", Column>,
};

/** The listing of one program's revisions alone. */
export function ofProgram(programId: string, listing: Listing): Listing {
  const its: Condition = {
    op: "=",
    target: { field: "program_id", kind: "uuid", path: [] },
    value: programId,
  };
  return { ...listing, where: listing.where ? { op: "and", of: [its, listing.where] } : its };
}
