import type { Labels } from "../labels.ts";
import type { ProgramStatus } from "../lifecycle.ts";
import type { Definition } from "./program.ts";

/** How a revision was made. The database's CHECK lists the same values; a test compares the two. */
export const origins = ["created", "updated", "optimized", "rolled_back", "imported"] as const;

export type Origin = (typeof origins)[number];

/** A version of a program. Its definition never changes; its status may. */
export type Revision = {
  readonly programId: string;
  /** Counts from 1. */
  readonly number: number;
  readonly origin: Origin;
  /** Never "deployed": whether a revision is deployed is stored with the program. */
  readonly status: Exclude<ProgramStatus, "deployed">;
  readonly signatureId: string;
  readonly signatureVersion: number;
  readonly definition: Definition;
  /** A hash of the definition. */
  readonly dspyProgramId: string;
  readonly score: number | null;
  /** The optimization that made it, or the one of the revision that was rolled back to. */
  readonly optimizationId: string | null;
  readonly errorReason: string;
  readonly errorMessage: string;
  readonly createdAt: Date;
};

/** A program with its newest revision. */
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

/** The status of a revision; "deployed" for the deployed one. */
export function statusOfRevision(
  { deployedRevision }: Pick<Program, "deployedRevision">,
  { number, status }: Revision,
): ProgramStatus {
  return number === deployedRevision ? "deployed" : status;
}

/** "deployed" if a revision is deployed, else the status of the newest revision. */
export function statusOf(program: Program): ProgramStatus {
  return program.deployedRevision === null ? program.newest.status : "deployed";
}
