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
import { NotFound } from "../domain/faults.ts";
import type { Definition } from "../domain/program.ts";
import type { Origin, Revision } from "../domain/revision.ts";
import type { Database } from "./database.ts";

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
  declare errorReason: CreationOptional<string>;
  declare errorMessage: CreationOptional<string>;
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
};

export type RevisionStore = {
  create(
    project: string,
    programId: string,
    number: number,
    signatureId: string,
    draft: RevisionDraft,
    transaction: Transaction,
  ): Promise<void>;
  get(project: string, programId: string, number: number): Promise<Revision>;
  /** What DSPy said when it was given the revision: "" built it, else why not. Changes only a draft or an error. */
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
      errorReason: DataTypes.TEXT,
      errorMessage: DataTypes.TEXT,
      createdAt: DataTypes.DATE,
      updatedAt: DataTypes.DATE,
    },
    { sequelize: database.sequelize, modelName: "Revision", tableName: "program_revisions", underscored: true },
  );

  return {
    async create(project, programId, number, signatureId, { definition, ...draft }, transaction) {
      const { modules, outputs, lm, compiledState } = definition;
      await Row.create(
        { projectId: project, programId, number, signatureId, modules, outputs, lm, compiledState, ...draft },
        { transaction },
      );
    },

    get: (project, programId, number) =>
      database.use(async () => {
        const [row] = await database.sequelize.query<RevisionColumns>(revisionSelect, {
          bind: [project, programId, number],
          type: QueryTypes.SELECT,
        });
        if (!row) throw new NotFound("revision", `${programId}@${number}`);
        return revisionOf(row);
      }),

    async setBuilt(project, programId, number, failure) {
      const result = failure
        ? { status: "error" as const, errorReason: "PROGRAM_INVALID", errorMessage: failure }
        : { status: "ready" as const, errorReason: "", errorMessage: "" };
      await database.use(() =>
        Row.update(result, { where: { projectId: project, programId, number, status: { [Op.in]: ["draft", "error"] } } }),
      );
    },
  };
}

/** Of program_revisions AS r JOIN signatures AS s. */
export const revisionColumns = `
  r.program_id, r.number, r.origin, r.status, r.signature_id, r.modules, r.outputs AS output_wires, r.lm, r.compiled_state, r.dspy_program_id, r.score,
  r.error_reason, r.error_message, r.created_at AS revision_created_at, s.name AS signature_name, s.instructions, s.inputs, s.outputs`;

const revisionSelect = `
  SELECT ${revisionColumns}
  FROM program_revisions AS r JOIN signatures AS s ON s.project_id = r.project_id AND s.id = r.signature_id
  WHERE r.project_id = $1 AND r.program_id = $2 AND r.number = $3`;

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
      signature: { name: row.signature_name, instructions: row.instructions, inputs: row.inputs, outputs: row.outputs },
      modules: row.modules,
      lm: row.lm,
      compiledState: row.compiled_state,
      outputs: row.output_wires,
    },
    dspyProgramId: row.dspy_program_id,
    score: row.score,
    errorReason: row.error_reason,
    errorMessage: row.error_message,
    createdAt: row.revision_created_at,
  };
}
