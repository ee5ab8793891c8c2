import { Invalid, NotFound, RequestIdReused, StatusConflict } from "../../domain/faults.ts";
import { shownSignatures } from "../../domain/program/program.ts";
import type { Program, Revision } from "../../domain/program/revision.ts";
import type { AskedList, Listing } from "../../domain/query/listing.ts";
import { revisionFields } from "../../domain/query/queryable.ts";
import { weigh, weighTexts } from "../../domain/query/size.ts";
import { type RequestKey, requestKey } from "../../domain/request.ts";
import type { ProgramChanges } from "../../store/programs/changes.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { RevisionStore } from "../../store/programs/revisions.ts";
import { type List, list } from "../list.ts";

type Deps = { programs: ProgramStore; revisions: RevisionStore; changes: ProgramChanges };

/** A program's past: its revisions, and the way back to one. */
export function createRevisions({ programs, revisions, changes }: Deps) {
  /** Of a request that stands already: the program as it is today. */
  async function replay(project: string, request: RequestKey): Promise<Program | undefined> {
    const found = await revisions.findByRequest(project, request);
    if (found && found.hash !== request.hash) throw new RequestIdReused(request.id);
    return found ? programs.get(project, found.programId) : undefined;
  }

  return {
    /** 0: the deployed one where there is one, else the newest. */
    getRevision: async (project: string, key: string, number: number): Promise<Revision> =>
      (await programs.getRevision(project, key, number)).revision,

    /** Without compiled_state. */
    async listRevisions(project: string, key: string, asked: AskedList): Promise<List<Revision>> {
      const { id } = await programs.get(project, key);
      const source = {
        find: (listing: Listing) => revisions.find(project, id, listing),
        count: (listing: Listing) => revisions.count(project, id, listing),
        weigh: (revision: Revision) => weigh(revision) + weighTexts(shownSignatures(revision.definition)),
      };
      return list(asked, revisionFields, ["revisions", project, id], source, "number");
    },

    /** Makes an earlier revision's content, with its status, the newest revision. */
    async rollbackProgram(
      project: string,
      asked: { programId: string; revision: number; etag: string; requestId: string },
    ): Promise<Program> {
      const { programId: key, revision: number, etag, requestId } = asked;
      if (number === 0)
        throw new Invalid("REQUEST_INVALID", [
          { field: "revision", description: "is missing", reason: "missing" },
        ]);
      const request = requestKey("rollback", requestId, { key, number });
      const earlier = request && (await replay(project, request));
      if (earlier) return earlier;
      const changed = await changes.change(project, key, etag, async ({ handle, newest }, revisionOf) => {
        if (number === newest.number)
          throw new StatusConflict(
            `revision ${number} of program ${JSON.stringify(handle)} is the newest already`,
          );
        const { status, definition, dspyProgramId, score, optimizationId, errorReason, errorMessage } =
          await revisionOf(number);
        const revision = {
          origin: "rolled_back",
          status,
          definition,
          dspyProgramId,
          score,
          optimizationId,
          errorReason,
          errorMessage,
        } as const;
        return { revision, ...(request && { request }) };
      });
      // Another caller with the same request_id was faster by a moment.
      const program = changed ?? (request && (await replay(project, request)));
      if (!program) throw new NotFound("program", key);
      return program;
    },
  };
}
