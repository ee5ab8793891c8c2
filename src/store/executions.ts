import { type CreationOptional, DataTypes, type InferAttributes, type InferCreationAttributes, Model, Op } from "sequelize";
import type { Execution, Step, Values } from "../domain/execution.ts";
import { NotFound, type Violation } from "../domain/faults.ts";
import type { ExecutionStatus } from "../domain/lifecycle.ts";
import type { Database } from "./database.ts";
import type { RequestKey } from "./recorder.ts";

export class ExecutionRow extends Model<InferAttributes<ExecutionRow>, InferCreationAttributes<ExecutionRow>> {
  declare projectId: string;
  declare id: string;
  declare programId: string;
  declare revision: number;
  declare status: ExecutionStatus;
  declare inputs: Values;
  declare outputs: Values | null;
  declare errorReason: string;
  declare errorMessage: string;
  declare violations: readonly Violation[];
  declare steps: readonly Step[];
  /** bigint columns come as strings. */
  declare inputTokens: string;
  declare outputTokens: string;
  declare cachedTokens: string;
  declare lmCalls: string;
  declare model: string;
  declare labels: Record<string, string>;
  declare requestMethod: string | null;
  declare requestId: string | null;
  declare requestHash: string | null;
  declare runnerId: string | null;
  declare startedAt: Date | null;
  declare completedAt: Date | null;
  declare durationMs: string | null;
  declare createdAt: CreationOptional<Date>;
  declare updatedAt: CreationOptional<Date>;
}

/** Where a page begins (after this execution), how long it is, and whose it is. */
export type ExecutionPage = { readonly programId?: string; readonly after?: string; readonly limit: number; readonly withValues: boolean };

export type ExecutionStore = {
  get(project: string, id: string): Promise<Execution>;
  /** The run that stands under a request_id, with the hash of what was asked; null where there is none. */
  findByRequest(project: string, request: Omit<RequestKey, "hash">): Promise<{ execution: Execution; hash: string } | null>;
  /** Newest first. */
  list(project: string, page: ExecutionPage): Promise<Execution[]>;
};

const valueColumns = ["inputs", "outputs", "steps"];

/** Reads the records of runs; recorder.ts writes them. */
export function createExecutionStore(database: Database): ExecutionStore {
  const Row = class extends ExecutionRow {}.init(
    {
      projectId: { type: DataTypes.UUID, primaryKey: true },
      id: { type: DataTypes.UUID, primaryKey: true },
      programId: { type: DataTypes.UUID, allowNull: false },
      revision: { type: DataTypes.INTEGER, allowNull: false },
      status: { type: DataTypes.TEXT, allowNull: false },
      inputs: { type: DataTypes.JSONB, allowNull: false },
      outputs: DataTypes.JSONB,
      errorReason: { type: DataTypes.TEXT, allowNull: false },
      errorMessage: { type: DataTypes.TEXT, allowNull: false },
      violations: { type: DataTypes.JSON, allowNull: false },
      steps: { type: DataTypes.JSON, allowNull: false },
      inputTokens: { type: DataTypes.BIGINT, allowNull: false },
      outputTokens: { type: DataTypes.BIGINT, allowNull: false },
      cachedTokens: { type: DataTypes.BIGINT, allowNull: false },
      lmCalls: { type: DataTypes.BIGINT, allowNull: false },
      model: { type: DataTypes.TEXT, allowNull: false },
      labels: { type: DataTypes.JSONB, allowNull: false },
      requestMethod: DataTypes.TEXT,
      requestId: DataTypes.UUID,
      requestHash: DataTypes.TEXT,
      runnerId: DataTypes.UUID,
      startedAt: DataTypes.DATE,
      completedAt: DataTypes.DATE,
      durationMs: DataTypes.BIGINT,
      createdAt: DataTypes.DATE,
      updatedAt: DataTypes.DATE,
    },
    { sequelize: database.sequelize, modelName: "Execution", tableName: "executions", underscored: true },
  );

  return {
    get: (project, id) =>
      database.use(async () => {
        const row = await Row.findOne({ where: { projectId: project, id } });
        if (!row) throw new NotFound("execution", id);
        return executionOf(row);
      }),

    findByRequest: (project, { method, id }) =>
      database.use(async () => {
        const row = await Row.findOne({ where: { projectId: project, requestMethod: method, requestId: id } });
        return row && { execution: executionOf(row), hash: row.requestHash ?? "" };
      }),

    list: (project, { programId, after, limit, withValues }) =>
      database.use(async () => {
        const rows = await Row.findAll({
          where: { projectId: project, ...(programId && { programId }), ...(after && { id: { [Op.lt]: after } }) },
          order: [["id", "DESC"]],
          limit,
          ...(!withValues && { attributes: { exclude: valueColumns } }),
        });
        return rows.map(executionOf);
      }),
  };
}

function executionOf(row: ExecutionRow): Execution {
  return {
    id: row.id,
    programId: row.programId,
    revision: row.revision,
    status: row.status,
    inputs: row.inputs ?? {},
    outputs: row.outputs ?? null,
    errorReason: row.errorReason,
    errorMessage: row.errorMessage,
    violations: row.violations,
    steps: row.steps ?? [],
    tokenUsage: {
      inputTokens: Number(row.inputTokens),
      outputTokens: Number(row.outputTokens),
      cachedTokens: Number(row.cachedTokens),
      lmCalls: Number(row.lmCalls),
    },
    model: row.model,
    requestId: row.requestId ?? "",
    labels: row.labels,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    durationMs: row.durationMs === null ? null : Number(row.durationMs),
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}
