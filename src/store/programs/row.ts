import type { Sequelize } from "sequelize";
import type { Program } from "../../domain/program/revision.ts";
import { type ColumnTypes, defineTable } from "../table.ts";
import { listedRevisionSelect, revisionOf, revisionSelect, type SelectedRevision } from "./revision-row.ts";

/** A row of `programs`. */
export type ProgramRow = Omit<Program, "etag" | "newest"> & {
  readonly projectId: string;
  readonly newestRevision: number;
  /** Counts every change; the etag is made from it. */
  readonly version: number;
  readonly requestId: string | null;
  readonly requestHash: string | null;
};

/** PostgreSQL or Sequelize gives these a value if a new row has none. */
type Defaulted = "deployedRevision" | "version" | "createdAt" | "updatedAt";
type NewProgramRow = Omit<ProgramRow, Defaulted> & Partial<Pick<ProgramRow, Defaulted>>;

const columns: ColumnTypes<ProgramRow> = {
  projectId: "uuid",
  id: "uuid",
  handle: "text",
  name: "text",
  description: "text",
  labels: "jsonb",
  newestRevision: "integer",
  deployedRevision: "integer",
  version: "integer",
  requestId: "uuid",
  requestHash: "text",
  createdAt: "timestamptz",
  updatedAt: "timestamptz",
};

export const defineProgramRows = (sequelize: Sequelize) =>
  defineTable<ProgramRow, NewProgramRow>(sequelize, {
    name: "programs",
    columns,
    key: ["projectId", "id"],
  });

/**
 * A program joined with its newest revision and that revision's signature, so that one query reads
 * all three.
 */
export const programFrom = `sigrun.programs AS p
  JOIN sigrun.program_revisions AS r ON r.project_id = p.project_id AND r.program_id = p.id AND r.number = p.newest_revision
  JOIN sigrun.signatures AS s ON s.project_id = r.project_id AND s.id = r.signature_id`;

/** What is read of the program in that join. */
type SelectedColumns = Omit<ProgramRow, "projectId" | "newestRevision" | "requestId">;
export type SelectedProgram = SelectedColumns & SelectedRevision;

/** The SQL of each part; a part without SQL does not compile. */
const sources = {
  id: "p.id",
  handle: "p.handle",
  name: "p.name",
  description: "p.description",
  labels: "p.labels",
  deployedRevision: "p.deployed_revision",
  version: "p.version",
  requestHash: "p.request_hash",
  createdAt: "p.created_at",
  updatedAt: "p.updated_at",
} as const satisfies { readonly [Name in keyof SelectedColumns]: string };

const programParts = Object.entries(sources)
  .map(([name, sql]) => `${sql} AS "${name}"`)
  .join(", ");

/** The SELECT list of a SelectedProgram, with or without the revision's compiled_state. */
export const programSelect = (withState: boolean) =>
  `${programParts}, ${withState ? revisionSelect : listedRevisionSelect}`;

export function programOf(row: SelectedProgram): Program {
  return {
    id: row.id,
    handle: row.handle,
    name: row.name,
    description: row.description,
    labels: row.labels,
    deployedRevision: row.deployedRevision,
    etag: `"${row.version}"`,
    newest: revisionOf(row),
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}
