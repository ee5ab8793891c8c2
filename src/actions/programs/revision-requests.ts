import type { Program } from "../../domain/program/revision.ts";
import type { RequestKey } from "../../domain/request.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { RevisionStore } from "../../store/programs/revisions.ts";

type Deps = { programs: ProgramStore; revisions: RevisionStore };

/** Finds the program whose revision was made under a request_id, as the program is today. */
export function createFindRevisionRequest({ programs, revisions }: Deps) {
  return async function findRevisionRequest(
    project: string,
    key: RequestKey,
  ): Promise<{ program: Program; hash: string } | null> {
    const found = await revisions.findByRequest(project, key);
    return found && { program: await programs.get(project, found.programId), hash: found.hash };
  };
}
