import { Op, type Transaction } from "sequelize";
import { NotFound } from "../../domain/faults.ts";
import { programStep } from "../../domain/lifecycle.ts";
import type { Revision } from "../../domain/program/revision.ts";
import type { Listing } from "../../domain/query/listing.ts";
import type { Found } from "../../domain/query/page.ts";
import type { RequestKey } from "../../domain/request.ts";
import type { Database } from "../database.ts";
import { countRows, findRows } from "../query/query.ts";
import { ofProgram, queryableRevisions } from "./revision-columns.ts";
import {
  defineRevisionRows,
  listedRevisionSelect,
  revisionBytes,
  revisionFrom,
  revisionOf,
  revisionSelect,
  type SelectedRevision,
} from "./revision-row.ts";

/** A revision that is not stored yet. */
export type RevisionDraft = Pick<Revision, "origin" | "status" | "definition" | "dspyProgramId" | "score"> &
  Partial<Pick<Revision, "optimizationId" | "errorReason" | "errorMessage">>;

/** PostgreSQL's integer. */
const maxNumber = 2 ** 31 - 1;

export type RevisionStore = {
  create(
    project: string,
    programId: string,
    number: number,
    signatureId: string,
    draft: RevisionDraft,
    transaction: Transaction,
    request?: RequestKey,
  ): Promise<void>;
  get(project: string, programId: string, number: number, transaction?: Transaction): Promise<Revision>;
  /**
   * The program whose revision was made under a request_id, with the request's hash; null if there
   * is none.
   */
  findByRequest(
    project: string,
    request: Omit<RequestKey, "hash">,
  ): Promise<{ programId: string; hash: string } | null>;
  /** Revisions of a program, without compiled_state. */
  find(project: string, programId: string, listing: Listing): Promise<Found<Revision>[]>;
  count(project: string, programId: string, listing: Listing): Promise<number>;
  /**
   * Records whether DSPy could build the revision: `failure` is "" if it could, else DSPy's
   * message. Does nothing if the lifecycle forbids the change of status.
   */
  setBuilt(project: string, programId: string, number: number, failure: string): Promise<void>;
};

export function createRevisionStore(database: Database): RevisionStore {
  const Row = defineRevisionRows(database.sequelize);

  const select = (sql: string, bind: unknown[], transaction?: Transaction) =>
    database.rows<SelectedRevision>({ sql }, bind, transaction);

  return {
    async create(project, programId, number, signatureId, { definition, ...draft }, transaction, request) {
      const { signature: _, ...parts } = definition;
      await Row.create(
        {
          projectId: project,
          programId,
          number,
          signatureId,
          ...parts,
          ...draft,
          requestMethod: request?.method ?? null,
          requestId: request?.id ?? null,
          requestHash: request?.hash ?? null,
        },
        { transaction },
      );
    },

    async get(project, programId, number, transaction) {
      // A number on the wire may be larger than any in the column.
      const [row] =
        number > maxNumber ? [] : await select(selectSql, [project, programId, number], transaction);
      if (!row) throw new NotFound(`revision ${number} of program`, programId);
      return revisionOf(row);
    },

    findByRequest: (project, { method, id }) =>
      database.use(async () => {
        const row = await Row.findOne({
          where: { projectId: project, requestMethod: method, requestId: id },
        });
        return row && { programId: row.programId, hash: row.requestHash ?? "" };
      }),

    async find(project, programId, listing) {
      const selection = { select: listedRevisionSelect, bytes: revisionBytes };
      const found = await findRows<SelectedRevision>(
        database,
        project,
        queryableRevisions,
        selection,
        ofProgram(programId, listing),
      );
      return found.map(({ row, ...place }) => ({ row: revisionOf(row), ...place }));
    },

    count: (project, programId, listing) =>
      countRows(database, project, queryableRevisions, ofProgram(programId, listing)),

    async setBuilt(project, programId, number, failure) {
      const result = failure
        ? { status: "error" as const, errorReason: "PROGRAM_INVALID", errorMessage: failure }
        : { status: "ready" as const, errorReason: "", errorMessage: "" };
      const { from } = programStep(failure ? "fail" : "build");
      await database.use(() =>
        Row.update(result, {
          where: { projectId: project, programId, number, status: { [Op.in]: [...from] } },
        }),
      );
    },
  };
}

const selectSql = `
  SELECT ${revisionSelect} FROM ${revisionFrom} WHERE r.project_id = $1 AND r.program_id = $2 AND r.number = $3`;
