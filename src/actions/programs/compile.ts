import { Fault } from "../../domain/faults.ts";
import type { Program } from "../../domain/revision.ts";
import type { CallLimits } from "../../sidecar/channel.ts";
import type { Sidecar } from "../../sidecar/client.ts";
import type { ProgramStore } from "../../store/programs.ts";
import type { RevisionStore } from "../../store/revisions.ts";

type Deps = { programs: ProgramStore; revisions: RevisionStore; sidecar: Sidecar };

/** Builds the newest revision in the sidecar: draft or error -> ready, or error with DSPy's reason. */
export function createCompileProgram({ programs, revisions, sidecar }: Deps) {
  return async function compileProgram(project: string, key: string, limits: CallLimits): Promise<Program> {
    const { id, newest } = await programs.get(project, key);
    const refusal = await sidecar.load(newest.dspyProgramId, newest.definition, limits).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof Fault && error.reason === "PROGRAM_INVALID") return error;
        throw error;
      },
    );
    await revisions.setBuilt(project, id, newest.number, refusal?.message ?? "");
    if (refusal) throw refusal;
    return programs.get(project, id);
  };
}
