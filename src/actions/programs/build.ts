import { Fault } from "../../domain/faults.ts";
import type { Revision } from "../../domain/program/revision.ts";
import type { CallLimits } from "../../dspy/channel.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { RevisionStore } from "../../store/programs/revisions.ts";

export type Build = (project: string, revision: Revision, limits: CallLimits) => Promise<void>;

/** Builds a revision in the sidecar. Sets its status to ready, or to error, and then throws. */
export function createBuild({ revisions, sidecar }: { revisions: RevisionStore; sidecar: Sidecar }): Build {
  return async (project, { programId, number, dspyProgramId, definition }, limits) => {
    const refusal = await sidecar.load(dspyProgramId, definition, limits).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof Fault && error.reason === "PROGRAM_INVALID") return error;
        throw error;
      },
    );
    await revisions.setBuilt(project, programId, number, refusal?.message ?? "");
    if (refusal) throw refusal;
  };
}
