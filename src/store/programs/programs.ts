import { type Transaction, UniqueConstraintError } from "sequelize";
import type { Execution } from "../../domain/execution.ts";
import { NotFound } from "../../domain/faults.ts";
import { isHandle } from "../../domain/program/handle.ts";
import type { Program, Revision } from "../../domain/program/revision.ts";
import type { Listing } from "../../domain/query/listing.ts";
import type { Found } from "../../domain/query/page.ts";
import { isUuid } from "../../domain/uuid.ts";
import type { Database } from "../database.ts";
import { type ExecutionRow, executionOfJson, executionSelect } from "../executions/row.ts";
import { countRows, findRows } from "../query/query.ts";
import type { Binds } from "../query/where.ts";
import { createSharedRead } from "../shared-read.ts";
import { queryablePrograms } from "./columns.ts";
import { revisionBytes } from "./revision-row.ts";
import type { RevisionDraft, RevisionStore } from "./revisions.ts";
import { defineProgramRows, programFrom, programOf, programSelect, type SelectedProgram } from "./row.ts";
import type { SignatureStore } from "./signatures.ts";

/** A program that is not stored yet, with its first revision. */
export type ProgramDraft = Pick<Program, "id" | "handle" | "name" | "description" | "labels"> & {
  readonly request: { readonly id: string; readonly hash: string } | null;
  readonly revision: RevisionDraft;
};

/** A program with its newest executions, which come without their values. */
export type ListedProgram = { readonly program: Program; readonly latest: readonly Execution[] };

export type ProgramStore = {
  /**
   * Writes the program, its signature and revision 1, unless the handle or the request_id is taken.
   */
  create(project: string, draft: ProgramDraft): Promise<"created" | "handle taken" | "request_id taken">;
  /** `key` is a UUID or a handle. */
  get(project: string, key: string, transaction?: Transaction): Promise<Program>;
  /**
   * The program that was made under a request_id, with the request's hash; null if there is none.
   */
  findByRequest(project: string, requestId: string): Promise<{ program: Program; hash: string } | null>;
  /**
   * A program and one of its revisions; number 0 is the deployed revision, or the newest if none is
   * deployed.
   */
  getRevision(
    project: string,
    key: string,
    number: number,
  ): Promise<{ program: Program; revision: Revision }>;
  /**
   * Programs, each with up to `latest` of its newest executions; compiled_state is empty unless
   * withState.
   */
  find(
    project: string,
    listing: Listing,
    wanted: { withState: boolean; latest: number },
  ): Promise<Found<ListedProgram>[]>;
  count(project: string, listing: Listing): Promise<number>;
};

type Stores = { signatures: SignatureStore; revisions: RevisionStore };

export function createProgramStore(database: Database, { signatures, revisions }: Stores): ProgramStore {
  const Row = defineProgramRows(database.sequelize);

  const select = (
    sql: string,
    bind: unknown[],
    { transaction, name }: { transaction?: Transaction | undefined; name?: string } = {},
  ) => database.rows<SelectedProgram>({ sql, ...(name !== undefined && { name }) }, bind, transaction);

  async function get(project: string, key: string, transaction?: Transaction): Promise<Program> {
    if (!isUuid(key) && !isHandle(key)) throw new NotFound("program", key);
    // A handle never looks like a UUID.
    const column = isUuid(key) ? "p.id" : "p.handle";
    const [row] = await select(`${selectSql} WHERE p.project_id = $1 AND ${column} = $2`, [project, key], {
      transaction,
      name: `program by ${column}`,
    });
    if (!row) throw new NotFound("program", key);
    return programOf(row);
  }

  // Runs read their program, and runs that start at the same time often read the same one.
  const readProgram = createSharedRead((project: string, key: string) => get(project, key));
  const readRevision = createSharedRead((project: string, id: string, number: number) =>
    revisions.get(project, id, number),
  );

  return {
    get,

    async create(project, { revision, request, ...program }) {
      try {
        await database.transact(async (transaction) => {
          const signature = await signatures.findOrCreate(
            project,
            revision.definition.signature,
            transaction,
          );
          await Row.create(
            {
              projectId: project,
              newestRevision: 1,
              requestId: request?.id ?? null,
              requestHash: request?.hash ?? null,
              ...program,
            },
            { transaction },
          );
          await revisions.create(project, program.id, 1, signature.id, revision, transaction);
        });
        return "created";
      } catch (error) {
        if (!(error instanceof UniqueConstraintError)) throw error;
        return "request_id" in error.fields ? "request_id taken" : "handle taken";
      }
    },

    async findByRequest(project, requestId) {
      const [row] = await select(`${selectSql} WHERE p.project_id = $1 AND p.request_id = $2`, [
        project,
        requestId,
      ]);
      return row ? { program: programOf(row), hash: row.requestHash ?? "" } : null;
    },

    async getRevision(project, key, number) {
      const program = await readProgram(project, key);
      const wanted = number || program.deployedRevision || program.newest.number;
      if (wanted === program.newest.number) return { program, revision: program.newest };
      return { program, revision: await readRevision(project, program.id, wanted) };
    },

    async find(project, listing, { withState, latest }) {
      const selection = {
        select: programSelect(withState),
        bytes: revisionBytes,
        ...(latest > 0 && { joined: latestExecutions(latest) }),
      };
      type Listed = SelectedProgram & { latest_executions?: ExecutionRow[] | null };
      const found = await findRows<Listed>(database, project, queryablePrograms, selection, listing);
      return found.map(({ row, ...place }) => ({
        row: { program: programOf(row), latest: (row.latest_executions ?? []).map(executionOfJson) },
        ...place,
      }));
    },

    count: (project, listing) => countRows(database, project, queryablePrograms, listing),
  };
}

const selectSql = `SELECT ${programSelect(true)} FROM ${programFrom}`;

/**
 * The newest executions of every program on a page, read by one join instead of a query for each
 * program.
 */
function latestExecutions(count: number) {
  const join = (binds: Binds) => `
    LEFT JOIN LATERAL (
      SELECT json_agg(latest ORDER BY latest.id DESC) AS executions
      FROM (
        SELECT ${executionSelect(false)} FROM sigrun.executions
        WHERE project_id = $1 AND program_id = page.id ORDER BY id DESC LIMIT ${binds.add(count, "bigint")}
      ) AS latest
    ) AS latest ON TRUE`;
  return { select: "latest.executions AS latest_executions", join };
}
