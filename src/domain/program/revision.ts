import type { Labels } from "../labels.ts";
import type { ProgramStatus } from "../lifecycle.ts";
import type { Definition } from "./program.ts";

/** How a revision was made. The database's CHECK lists the same values; a test compares the two. */
export const origins = ["created", "updated", "optimized", "rolled_back", "imported"] as const;

export type Origin = (typeof origins)[number];

/** One state of a program; its definition never changes, its status may. */
export type Revision = {
  readonly programId: string;
  /** Counts from 1. */
  readonly number: number;
  readonly origin: Origin;
  /** Its own: never deployed, which is the program's. */
  readonly status: Exclude<ProgramStatus, "deployed">;
  readonly signatureId: string;
  readonly definition: Definition;
  /** Names the definition by its content. */
  readonly dspyProgramId: string;
  readonly score: number | null;
  /** What made it, or the one that it goes back to. */
  readonly optimizationId: string | null;
  readonly errorReason: string;
  readonly errorMessage: string;
  readonly createdAt: Date;
};

/** A program as it stands: what is true of all its revisions, and the newest one. */
export type Program = {
  readonly id: string;
  readonly handle: string;
  readonly name: string;
  readonly description: string;
  readonly labels: Labels;
  readonly deployedRevision: number | null;
  readonly etag: string;
  readonly newest: Revision;
  readonly createdAt: Date;
  readonly updatedAt: Date;
};

/** A revision's own, but for the one that is deployed. */
export function statusOfRevision(
  { deployedRevision }: Pick<Program, "deployedRevision">,
  { number, status }: Revision,
): ProgramStatus {
  return number === deployedRevision ? "deployed" : status;
}

/** A program is deployed while a revision is; else its status is the newest revision's. */
export function statusOf(program: Program): ProgramStatus {
  return program.deployedRevision === null ? program.newest.status : "deployed";
}
