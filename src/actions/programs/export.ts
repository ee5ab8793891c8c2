import type { CallLimits } from "../../dspy/channel.ts";
import type { Exported, Sidecar } from "../../dspy/client.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";

/** Writes a revision as the Python file that a notebook would have. */
export function createExportProgram({ programs, sidecar }: { programs: ProgramStore; sidecar: Sidecar }) {
  return async (project: string, key: string, number: number, limits: CallLimits): Promise<Exported> => {
    const { program, revision } = await programs.getRevision(project, key, number);
    const { dspyProgramId, definition } = revision;
    return sidecar.export({ handle: program.handle, dspyProgramId, definition }, limits);
  };
}
