import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  Op,
  QueryTypes,
  type Transaction,
} from "sequelize";
import { NotFound } from "../../domain/faults.ts";
import { programStep } from "../../domain/lifecycle.ts";
import type { Definition } from "../../domain/program/program.ts";
import type { Origin, Revision } from "../../domain/program/revision.ts";
import type { Listing } from "../../domain/query/listing.ts";
import type { Found } from "../../domain/query/page.ts";
import type { RequestKey } from "../../domain/request.ts";
import type { Database } from "../database.ts";
import { countRows, findRows } from "../query/query.ts";
import {
  listedRevision,
  ofProgram,
  queryableRevisions,
  revisionBytes,
  revisionColumns,
  revisionFrom,
} from "./revision-columns.ts";

export class RevisionRow extends Model<InferAttributes<RevisionRow>, InferCreationAttributes<RevisionRow>> {
  declare projectId: string;
  declare programId: string;
  declare number: number;
  declare origin: Origin;
  declare status: Revision["status"];
  declare signatureId: string;
  declare modules: Definition["modules"];
  declare outputs: Definition["outputs"];
  declare lm: Definition["lm"];
  declare compiledState: string;
  declare dspyProgramId: string;
  declare score: number | null;
  declare optimizationId: CreationOptional<string | null>;
  declare errorReason: CreationOptional<string>;
  declare errorMessage: CreationOptional<string>;
  declare requestMethod: string | null;
  declare requestId: string | null;
  declare requestHash: string | null;
  declare createdAt: CreationOptional<Date>;
  declare updatedAt: CreationOptional<Date>;
}

/** A revision that is to be made. */
export type RevisionDraft = {
  readonly origin: Origin;
  readonly status: Revision["status"];
  readonly definition: Definition;
  readonly dspyProgramId: string;
  readonly score: number | null;
  readonly optimizationId?: string | null;
  readonly errorReason?: string;
  readonly errorMessage?: string;
};

const mostNumber = 2 ** 31 - 1;

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
  /** The program whose revision was made under a request_id, with the hash of what was asked; null where there is none. */
  findByRequest(
    project: string,
    request: Omit<RequestKey, "hash">,
  ): Promise<{ programId: string; hash: string } | null>;
  /** Those of a program, without compiled_state. */
  find(project: string, programId: string, listing: Listing): Promise<Found<Revision>[]>;
  count(project: string, programId: string, listing: Listing): Promise<number>;
  /** What DSPy said when it was given the revision: "" built it, else why not. Changes only what the lifecycle lets it. */
  setBuilt(project: string, programId: string, number: number, failure: string): Promise<void>;
};

export function createRevisionStore(database: Database): RevisionStore {
  const Row = class extends RevisionRow {}.init(
    {
      projectId: { type: DataTypes.UUID, primaryKey: true },
      programId: { type: DataTypes.UUID, primaryKey: true },
      number: { type: DataTypes.INTEGER, primaryKey: true },
      origin: { type: DataTypes.TEXT, allowNull: false },
      status: { type: DataTypes.TEXT, allowNull: false },
      signatureId: { type: DataTypes.UUID, allowNull: false },
      modules: { type: DataTypes.JSON, allowNull: false },
      outputs: { type: DataTypes.JSON, allowNull: false },
      lm: { type: DataTypes.JSON, allowNull: false },
      compiledState: { type: DataTypes.TEXT, allowNull: false },
      dspyProgramId: { type: DataTypes.TEXT, allowNull: false },
      score: DataTypes.DOUBLE,
      optimizationId: DataTypes.UUID,
      errorReason: DataTypes.TEXT,
      errorMessage: DataTypes.TEXT,
      requestMethod: DataTypes.TEXT,
      requestId: DataTypes.UUID,
      requestHash: DataTypes.TEXT,
      createdAt: DataTypes.DATE,
      updatedAt: DataTypes.DATE,
    },
    {
      sequelize: database.sequelize,
      modelName: "Revision",
      tableName: "program_revisions",
      underscored: true,
    },
  );

  const select = (sql: string, bind: unknown[], transaction?: Transaction) =>
    database.use(() =>
      database.sequelize.query<RevisionColumns>(sql, {
        bind,
        type: QueryTypes.SELECT,
        ...(transaction && { transaction }),
      }),
    );

  return {
    async create(project, programId, number, signatureId, { definition, ...draft }, transaction, request) {
      const { modules, outputs, lm, compiledState } = definition;
      const key = {
        requestMethod: request?.method ?? null,
        requestId: request?.id ?? null,
        requestHash: request?.hash ?? null,
      };
      await Row.create(
        {
          projectId: project,
          programId,
          number,
          signatureId,
          modules,
          outputs,
          lm,
          compiledState,
          ...draft,
          ...key,
        },
        { transaction },
      );
    },

    async get(project, programId, number, transaction) {
      // The wire has numbers that the column has not.
      const [row] =
        number > mostNumber
          ? []
          : await select(`${revisionSelect} AND r.number = $3`, [project, programId, number], transaction);
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
      const selection = { select: listedRevision, bytes: revisionBytes };
      const found = await findRows<RevisionColumns>(
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

const revisionSelect = `SELECT ${revisionColumns} FROM ${revisionFrom} WHERE r.project_id = $1 AND r.program_id = $2`;

export type RevisionColumns = {
  program_id: string;
  number: number;
  origin: Origin;
  status: Revision["status"];
  signature_id: string;
  modules: Definition["modules"];
  output_wires: Definition["outputs"];
  lm: Definition["lm"];
  compiled_state: string;
  dspy_program_id: string;
  score: number | null;
  optimization_id: string | null;
  error_reason: string;
  error_message: string;
  revision_created_at: Date;
  signature_name: string;
  instructions: string;
  inputs: Definition["signature"]["inputs"];
  outputs: Definition["signature"]["outputs"];
};

export function revisionOf(row: RevisionColumns): Revision {
  return {
    programId: row.program_id,
    number: row.number,
    origin: row.origin,
    status: row.status,
    signatureId: row.signature_id,
    definition: {
      signature: {
        name: row.signature_name,
        instructions: row.instructions,
        inputs: row.inputs,
        outputs: row.outputs,
      },
      modules: row.modules,
      lm: row.lm,
      compiledState: row.compiled_state,
      outputs: row.output_wires,
    },
    dspyProgramId: row.dspy_program_id,
    score: row.score,
    optimizationId: row.optimization_id,
    errorReason: row.error_reason,
    errorMessage: row.error_message,
    createdAt: row.revision_created_at,
  };
}
