import { Fault, Invalid } from "../../domain/faults.ts";
import { textFault } from "../../domain/json.ts";
import { dspyProgramId } from "../../domain/program/program.ts";
import type { Program } from "../../domain/program/revision.ts";
import { type RequestKey, requestKey } from "../../domain/request.ts";
import type { CallLimits } from "../../dspy/channel.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { ProgramChanges } from "../../store/programs/changes.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { RevisionStore } from "../../store/programs/revisions.ts";
import { once } from "../once.ts";
import { createFindRevisionRequest } from "./revision-requests.ts";

export type ImportRequest = {
  readonly programId: string;
  /** The JSON that DSPy's save() wrote. */
  readonly compiledState: string;
  readonly etag: string;
  readonly requestId: string;
};

type Deps = { programs: ProgramStore; revisions: RevisionStore; changes: ProgramChanges; sidecar: Sidecar };

/** Makes a revision from a state that DSPy saved, once the sidecar has loaded that state. */
export function createImportState({ programs, revisions, changes, sidecar }: Deps) {
  const findRevisionRequest = createFindRevisionRequest({ programs, revisions });

  return async function importState(
    project: string,
    request: ImportRequest,
    limits: CallLimits,
  ): Promise<Program> {
    const { programId: key, compiledState, requestId } = request;
    const fault = textFault(compiledState);
    if (fault) throw refusal(fault, "text");
    const requestIdKey = requestKey("import", requestId, { key, compiledState });
    const { program } = await once(
      requestIdKey,
      (idKey) => findRevisionRequest(project, idKey),
      () => addRevision(project, request, requestIdKey, limits),
    );
    return program;
  };

  /** Undefined if another revision was made meanwhile, or if the request_id is taken. */
  async function addRevision(
    project: string,
    { programId, compiledState, etag }: ImportRequest,
    requestIdKey: RequestKey | null,
    limits: CallLimits,
  ): Promise<{ program: Program } | undefined> {
    const { id, newest } = await programs.get(project, programId);
    const definition = { ...newest.definition, compiledState };
    const imported = dspyProgramId(definition);
    await sidecar.load(imported, definition, { ...limits, isImport: true }).catch((error: unknown) => {
      throw error instanceof Fault && error.reason === "PROGRAM_INVALID"
        ? refusal(error.message, "state")
        : error;
    });
    const program = await changes.change(project, id, etag, async (current) => {
      // DSPy loaded the state into the modules of `newest`; other modules may not fit it.
      if (current.newest.number !== newest.number) return undefined;
      const revision = {
        origin: "imported",
        status: "optimized",
        definition,
        dspyProgramId: imported,
        score: null,
      } as const;
      return { revision, ...(requestIdKey && { request: requestIdKey }) };
    });
    return program?.newest.dspyProgramId === imported ? { program } : undefined;
  }
}

const refusal = (description: string, reason: string) =>
  Invalid.at("PROGRAM_INVALID", "compiled_state", description, reason);
