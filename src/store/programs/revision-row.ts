import type { Sequelize } from "sequelize";
import type { Definition } from "../../domain/program/program.ts";
import type { Revision } from "../../domain/program/revision.ts";
import { type ColumnTypes, defineTable } from "../table.ts";

/** A row of `program_revisions`. Its signature is a row of its own. */
export type RevisionRow = Omit<Revision, "definition" | "signatureVersion"> &
  Omit<Definition, "signature"> & {
    readonly projectId: string;
    readonly requestMethod: string | null;
    readonly requestId: string | null;
    readonly requestHash: string | null;
    readonly updatedAt: Date;
  };

/** PostgreSQL or Sequelize gives these a value if a new row has none. */
type Defaulted = "optimizationId" | "errorReason" | "errorMessage" | "createdAt" | "updatedAt";
type NewRevisionRow = Omit<RevisionRow, Defaulted> & Partial<Pick<RevisionRow, Defaulted>>;

const columns: ColumnTypes<RevisionRow> = {
  projectId: "uuid",
  programId: "uuid",
  number: "integer",
  origin: "text",
  status: "text",
  signatureId: "uuid",
  modules: "json",
  outputs: "json",
  lm: "json",
  compiledState: "text",
  dspyProgramId: "text",
  score: "double precision",
  optimizationId: "uuid",
  errorReason: "text",
  errorMessage: "text",
  requestMethod: "text",
  requestId: "uuid",
  requestHash: "text",
  createdAt: "timestamptz",
  updatedAt: "timestamptz",
};

export const defineRevisionRows = (sequelize: Sequelize) =>
  defineTable<RevisionRow, NewRevisionRow>(sequelize, {
    name: "program_revisions",
    columns,
    key: ["projectId", "programId", "number"],
  });

/** A revision joined with its signature. */
export const revisionFrom =
  "sigrun.program_revisions AS r JOIN sigrun.signatures AS s ON s.project_id = r.project_id AND s.id = r.signature_id";

/** What is read of that join. */
export type SelectedRevision = Omit<Revision, "definition" | "createdAt"> &
  Omit<Definition, "signature" | "outputs"> & {
    readonly outputWires: Definition["outputs"];
    readonly revisionCreatedAt: Date;
    readonly signatureName: string;
    readonly instructions: string;
    readonly inputs: Definition["signature"]["inputs"];
    readonly outputs: Definition["signature"]["outputs"];
  };

/** The SQL of each part; a part without SQL does not compile. */
const sources = {
  programId: "r.program_id",
  number: "r.number",
  origin: "r.origin",
  status: "r.status",
  signatureId: "r.signature_id",
  modules: "r.modules",
  outputWires: "r.outputs",
  lm: "r.lm",
  compiledState: "r.compiled_state",
  dspyProgramId: "r.dspy_program_id",
  score: "r.score",
  optimizationId: "r.optimization_id",
  errorReason: "r.error_reason",
  errorMessage: "r.error_message",
  revisionCreatedAt: "r.created_at",
  signatureName: "s.name",
  signatureVersion: "s.version",
  instructions: "s.instructions",
  inputs: "s.inputs",
  outputs: "s.outputs",
} as const satisfies { readonly [Name in keyof SelectedRevision]: string };

const listOf = (parts: Readonly<Record<string, string>>) =>
  Object.entries(parts)
    .map(([name, sql]) => `${sql} AS "${name}"`)
    .join(", ");

/** The SELECT list of a SelectedRevision. */
export const revisionSelect = listOf(sources);

/** The same without compiled_state, which may be large. */
export const listedRevisionSelect = listOf({ ...sources, compiledState: "''" });

/** SQL for about how many bytes such a row of a page has. */
export const revisionBytes =
  'octet_length(page."compiledState") + octet_length(page.modules::text) + octet_length(page.inputs::text)';

export function revisionOf(row: SelectedRevision): Revision {
  return {
    programId: row.programId,
    number: row.number,
    origin: row.origin,
    status: row.status,
    signatureId: row.signatureId,
    signatureVersion: row.signatureVersion,
    definition: {
      signature: {
        name: row.signatureName,
        instructions: row.instructions,
        inputs: row.inputs,
        outputs: row.outputs,
      },
      modules: row.modules,
      lm: row.lm,
      compiledState: row.compiledState,
      outputs: row.outputWires,
    },
    dspyProgramId: row.dspyProgramId,
    score: row.score,
    optimizationId: row.optimizationId,
    errorReason: row.errorReason,
    errorMessage: row.errorMessage,
    createdAt: row.revisionCreatedAt,
  };
}
