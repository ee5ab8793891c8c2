import { Invalid, StatusConflict } from "../../domain/faults.ts";
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
import { once } from "../once.ts";
import { createFindRevisionRequest } from "./revision-requests.ts";

type Deps = { programs: ProgramStore; revisions: RevisionStore; changes: ProgramChanges };

/** The revisions of a program, and the rollback to one of them. */
export function createRevisions({ programs, revisions, changes }: Deps) {
  const findRevisionRequest = createFindRevisionRequest({ programs, revisions });

  /** Undefined if another call recorded the same request_id first. */
  async function copyToNewest(
    project: string,
    key: string,
    number: number,
    etag: string,
    requestIdKey: RequestKey | null,
  ): Promise<{ program: Program } | undefined> {
    const program = await changes.change(project, key, etag, async ({ handle, newest }, revisionOf) => {
      if (number === newest.number)
        throw new StatusConflict(
          `revision ${number} of program ${JSON.stringify(handle)} is already the newest`,
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
      return { revision, ...(requestIdKey && { request: requestIdKey }) };
    });
    return program && { program };
  }

  return {
    /** Number 0: the deployed revision, or the newest if none is deployed. */
    getRevision: async (project: string, key: string, number: number): Promise<Revision> =>
      (await programs.getRevision(project, key, number)).revision,

    /** Each without compiled_state. */
    async listRevisions(project: string, key: string, request: AskedList): Promise<List<Revision>> {
      const { id } = await programs.get(project, key);
      const source = {
        find: (listing: Listing) => revisions.find(project, id, listing),
        count: (listing: Listing) => revisions.count(project, id, listing),
        bytesOf: (revision: Revision) => weigh(revision) + weighTexts(shownSignatures(revision.definition)),
      };
      return list(request, revisionFields, ["revisions", project, id], source, "number");
    },

    /** Makes a new revision with the content and status of an earlier one. */
    async rollbackProgram(
      project: string,
      request: { programId: string; revision: number; etag: string; requestId: string },
    ): Promise<Program> {
      const { programId: key, revision: number, etag, requestId } = request;
      if (number === 0) throw Invalid.at("REQUEST_INVALID", "revision", "is missing", "missing");
      const requestIdKey = requestKey("rollback", requestId, { key, number });
      const { program } = await once(
        requestIdKey,
        (idKey) => findRevisionRequest(project, idKey),
        () => copyToNewest(project, key, number, etag, requestIdKey),
      );
      return program;
    },
  };
}
