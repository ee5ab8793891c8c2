import { Fault, Invalid, NotFound, RequestIdReused } from "../../domain/faults.ts";
import { textFault } from "../../domain/json.ts";
import { dspyProgramId } from "../../domain/program/program.ts";
import type { Program } from "../../domain/program/revision.ts";
import { type RequestKey, requestKey } from "../../domain/request.ts";
import type { CallLimits } from "../../dspy/channel.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { ProgramChanges } from "../../store/programs/changes.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { RevisionStore } from "../../store/programs/revisions.ts";

export type ImportRequest = {
  readonly programId: string;
  /** What DSPy's save() wrote. */
  readonly compiledState: string;
  readonly etag: string;
  readonly requestId: string;
};

type Deps = { programs: ProgramStore; revisions: RevisionStore; changes: ProgramChanges; sidecar: Sidecar };

/** Makes a revision of a state that DSPy saved elsewhere, once DSPy here has taken it for this program. */
export function createImportState({ programs, revisions, changes, sidecar }: Deps) {
  return async function importState(
    project: string,
    request: ImportRequest,
    limits: CallLimits,
  ): Promise<Program> {
    const { programId: key, compiledState, etag, requestId } = request;
    const fault = textFault(compiledState);
    if (fault) throw refusal(fault, "text");
    const asked = requestKey("import", requestId, { key, compiledState });
    const earlier = asked && (await replay(project, asked));
    if (earlier) return earlier;

    const { id, newest } = await programs.get(project, key);
    const definition = { ...newest.definition, compiledState };
    const made = dspyProgramId(definition);
    await sidecar.load(made, definition, limits).catch((error: unknown) => {
      throw error instanceof Fault && error.reason === "PROGRAM_INVALID"
        ? refusal(error.message, "state")
        : error;
    });
    const changed = await changes.change(project, id, etag, async (program) => {
      // What was tried is the state over the modules that were the newest then.
      const isSame = program.newest.number === newest.number;
      if (!isSame) return undefined;
      const revision = {
        origin: "imported",
        status: "optimized",
        definition,
        dspyProgramId: made,
        score: null,
      } as const;
      return { revision, ...(asked && { request: asked }) };
    });
    if (changed && changed.newest.dspyProgramId !== made) return importState(project, request, limits);
    // Another caller with the same request_id was faster by a moment.
    const program = changed ?? (asked && (await replay(project, asked)));
    if (!program) throw new NotFound("program", key);
    return program;
  };

  async function replay(project: string, request: RequestKey): Promise<Program | undefined> {
    const found = await revisions.findByRequest(project, request);
    if (found && found.hash !== request.hash) throw new RequestIdReused(request.id);
    return found ? programs.get(project, found.programId) : undefined;
  }
}

const refusal = (description: string, reason: string) =>
  new Invalid("PROGRAM_INVALID", [{ field: "compiled_state", description, reason }]);
