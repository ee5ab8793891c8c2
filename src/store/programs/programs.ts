import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  QueryTypes,
  type Transaction,
  UniqueConstraintError,
} from "sequelize";
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
import { programFrom, queryablePrograms } from "./columns.ts";
import { listedRevision, revisionBytes, revisionColumns } from "./revision-columns.ts";
import { type RevisionColumns, type RevisionDraft, type RevisionStore, revisionOf } from "./revisions.ts";
import type { SignatureStore } from "./signatures.ts";

export class ProgramRow extends Model<InferAttributes<ProgramRow>, InferCreationAttributes<ProgramRow>> {
  declare projectId: string;
  declare id: string;
  declare handle: string;
  declare name: string;
  declare description: string;
  declare labels: Record<string, string>;
  declare newestRevision: number;
  declare deployedRevision: CreationOptional<number | null>;
  declare version: CreationOptional<number>;
  declare requestId: string | null;
  declare requestHash: string | null;
  declare createdAt: CreationOptional<Date>;
  declare updatedAt: CreationOptional<Date>;
}

/** A program that is to be made, with its first revision. */
export type ProgramDraft = {
  readonly id: string;
  readonly handle: string;
  readonly name: string;
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly request: { readonly id: string; readonly hash: string } | null;
  readonly revision: RevisionDraft;
};

/** A program, with its newest executions, without their values. */
export type ListedProgram = { readonly program: Program; readonly latest: readonly Execution[] };

export type ProgramStore = {
  /** Writes the program, its signature and revision 1; gives the column that is taken where one is. */
  create(project: string, draft: ProgramDraft): Promise<"created" | "handle taken" | "request_id taken">;
  /** By UUID or handle. */
  get(project: string, key: string, transaction?: Transaction): Promise<Program>;
  /** The program that was made under a request_id, with the hash of what was asked; null where there is none. */
  findByRequest(project: string, requestId: string): Promise<{ program: Program; hash: string } | null>;
  /** The program and one of its revisions; 0 is the deployed one where there is one, else the newest. */
  getRevision(
    project: string,
    key: string,
    number: number,
  ): Promise<{ program: Program; revision: Revision }>;
  /** Each with its newest executions, as many as are asked for; without compiled_state where it is not wanted. */
  find(
    project: string,
    listing: Listing,
    wanted: { withState: boolean; latest: number },
  ): Promise<Found<ListedProgram>[]>;
  count(project: string, listing: Listing): Promise<number>;
};

type Stores = { signatures: SignatureStore; revisions: RevisionStore };

export function createProgramStore(database: Database, { signatures, revisions }: Stores): ProgramStore {
  const Row = class extends ProgramRow {}.init(
    {
      projectId: { type: DataTypes.UUID, primaryKey: true },
      id: { type: DataTypes.UUID, primaryKey: true },
      handle: { type: DataTypes.TEXT, allowNull: false },
      name: { type: DataTypes.TEXT, allowNull: false },
      description: { type: DataTypes.TEXT, allowNull: false },
      labels: { type: DataTypes.JSONB, allowNull: false },
      newestRevision: { type: DataTypes.INTEGER, allowNull: false },
      deployedRevision: DataTypes.INTEGER,
      version: DataTypes.INTEGER,
      requestId: DataTypes.UUID,
      requestHash: DataTypes.TEXT,
      createdAt: DataTypes.DATE,
      updatedAt: DataTypes.DATE,
    },
    { sequelize: database.sequelize, modelName: "Program", tableName: "programs", underscored: true },
  );

  const select = (
    sql: string,
    bind: unknown[],
    { transaction, name }: { transaction?: Transaction | undefined; name?: string } = {},
  ) =>
    transaction
      ? database.use(() =>
          database.sequelize.query<ProgramColumns>(sql, { bind, type: QueryTypes.SELECT, transaction }),
        )
      : database.rows<ProgramColumns>({ sql, ...(name !== undefined && { name }) }, bind);

  async function get(project: string, key: string, transaction?: Transaction): Promise<Program> {
    if (!isUuid(key) && !isHandle(key)) throw new NotFound("program", key);
    const [row] = await select(
      `${programSelect} WHERE p.project_id = $1 AND ${keyColumn(key)} = $2`,
      [project, key],
      {
        transaction,
        name: `program by ${keyColumn(key)}`,
      },
    );
    if (!row) throw new NotFound("program", key);
    return programOf(row);
  }

  // Every run asks for its program, and those that come at once ask for the same.
  const programRead = createSharedRead((project: string, key: string) => get(project, key));
  const revisionRead = createSharedRead((project: string, id: string, number: number) =>
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
      const [row] = await select(`${programSelect} WHERE p.project_id = $1 AND p.request_id = $2`, [
        project,
        requestId,
      ]);
      return row ? { program: programOf(row), hash: row.request_hash ?? "" } : null;
    },

    async getRevision(project, key, number) {
      const program = await programRead(project, key);
      const wanted = number || program.deployedRevision || program.newest.number;
      if (wanted === program.newest.number) return { program, revision: program.newest };
      return { program, revision: await revisionRead(project, program.id, wanted) };
    },

    async find(project, listing, { withState, latest }) {
      const selection = {
        select: `${programColumns}, ${withState ? revisionColumns : listedRevision}`,
        bytes: revisionBytes,
        ...(latest > 0 && { beside: latestOf(latest) }),
      };
      const found = await findRows<ProgramColumns>(database, project, queryablePrograms, selection, listing);
      return found.map(({ row, ...place }) => ({
        row: { program: programOf(row), latest: (row.latest_executions ?? []).map(executionOfJson) },
        ...place,
      }));
    },

    count: (project, listing) => countRows(database, project, queryablePrograms, listing),
  };

  /** Of each program on the page, by one join in place of a query for each. */
  function latestOf(count: number) {
    const columns = executionSelect(false);
    const join = (binds: Binds) => `
      LEFT JOIN LATERAL (
        SELECT json_agg(latest ORDER BY latest.id DESC) AS executions
        FROM (SELECT ${columns} FROM executions WHERE project_id = $1 AND program_id = page.id ORDER BY id DESC LIMIT ${binds.add(count, "bigint")}) AS latest
      ) AS latest ON TRUE`;
    return { select: "latest.executions AS latest_executions", join };
  }
}

const programColumns = `
  p.id, p.handle, p.name, p.description, p.labels, p.deployed_revision, p.version, p.request_hash, p.created_at AS program_created_at,
  p.updated_at AS program_updated_at`;

const programSelect = `SELECT ${programColumns}, ${revisionColumns} FROM ${programFrom}`;

type ProgramColumns = RevisionColumns & {
  id: string;
  handle: string;
  name: string;
  description: string;
  labels: Record<string, string>;
  deployed_revision: number | null;
  version: number;
  request_hash: string | null;
  program_created_at: Date;
  program_updated_at: Date;
  latest_executions?: ExecutionRow[] | null;
};

function programOf(row: ProgramColumns): Program {
  return {
    id: row.id,
    handle: row.handle,
    name: row.name,
    description: row.description,
    labels: row.labels,
    deployedRevision: row.deployed_revision,
    etag: `"${row.version}"`,
    newest: revisionOf(row),
    createdAt: row.program_created_at,
    updatedAt: row.program_updated_at,
  };
}

/** A handle is never like a UUID, so a key is the one or the other. */
function keyColumn(key: string): "p.id" | "p.handle" {
  return isUuid(key) ? "p.id" : "p.handle";
}
