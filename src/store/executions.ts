import {
  type CreationOptional,
  DataTypes,
  ForeignKeyConstraintError,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  Op,
  UniqueConstraintError,
} from "sequelize";
import type { Execution, Step, TokenUsage, Values } from "../domain/execution.ts";
import { NotFound, type Violation } from "../domain/faults.ts";
import type { ExecutionStatus } from "../domain/lifecycle.ts";
import type { RequestKey } from "../domain/request.ts";
import type { Database } from "./database.ts";

export class ExecutionRow extends Model<InferAttributes<ExecutionRow>, InferCreationAttributes<ExecutionRow>> {
  declare projectId: string;
  declare id: string;
  declare programId: string;
  declare revision: number;
  declare status: ExecutionStatus;
  declare inputs: Values;
  declare outputs: CreationOptional<Values | null>;
  declare errorReason: CreationOptional<string>;
  declare errorMessage: CreationOptional<string>;
  declare violations: CreationOptional<readonly Violation[]>;
  declare steps: CreationOptional<readonly Step[]>;
  /** bigint columns come as strings. */
  declare inputTokens: CreationOptional<string>;
  declare outputTokens: CreationOptional<string>;
  declare cachedTokens: CreationOptional<string>;
  declare lmCalls: CreationOptional<string>;
  declare model: CreationOptional<string>;
  declare labels: Record<string, string>;
  declare requestMethod: string | null;
  declare requestId: string | null;
  declare requestHash: string | null;
  declare runnerId: CreationOptional<string | null>;
  declare startedAt: Date | null;
  declare completedAt: CreationOptional<Date | null>;
  declare durationMs: CreationOptional<string | null>;
  declare createdAt: CreationOptional<Date>;
  declare updatedAt: CreationOptional<Date>;
}

/** Where a page begins (after this execution), how long it is, and whose it is. */
export type ExecutionPage = { readonly programId?: string; readonly after?: string; readonly limit: number; readonly withValues: boolean };

/** A run that goes on elsewhere: no gateway's, so under no lease. */
export type ElsewhereRow = {
  readonly id: string;
  readonly programId: string;
  readonly revision: number;
  readonly status: "pending" | "running";
  readonly inputs: Values;
  readonly labels: Readonly<Record<string, string>>;
  readonly request: RequestKey | null;
  readonly startedAt: Date | null;
};

/** What changes with a step of a run's way. */
export type ExecutionChanges = {
  readonly startedAt?: Date;
  readonly completedAt?: Date;
  readonly durationMs?: number;
  readonly outputs?: Values;
  readonly errorReason?: string;
  readonly errorMessage?: string;
  readonly tokenUsage?: TokenUsage;
  readonly model?: string;
};

export type ExecutionStore = {
  get(project: string, id: string): Promise<Execution>;
  /** The run that stands under a request_id, with the hash of what was asked; null where there is none. */
  findByRequest(project: string, request: Omit<RequestKey, "hash">): Promise<{ execution: Execution; hash: string } | null>;
  /** Writes a run that goes on elsewhere. False where its request_id stands on record already: then nothing was written. */
  insert(project: string, row: ElsewhereRow): Promise<boolean>;
  /** Changes a run that goes on elsewhere and has one of these statuses; undefined where there is none such. */
  change(
    project: string,
    id: string,
    from: readonly ExecutionStatus[],
    changes: ExecutionChanges & { status: ExecutionStatus },
  ): Promise<Execution | undefined>;
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
      errorReason: { type: DataTypes.TEXT, allowNull: false, defaultValue: "" },
      errorMessage: { type: DataTypes.TEXT, allowNull: false, defaultValue: "" },
      violations: { type: DataTypes.JSON, allowNull: false, defaultValue: [] },
      steps: { type: DataTypes.JSON, allowNull: false, defaultValue: [] },
      inputTokens: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      outputTokens: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      cachedTokens: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      lmCalls: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
      model: { type: DataTypes.TEXT, allowNull: false, defaultValue: "" },
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

    insert: (project, { request, labels, ...row }) =>
      database.use(async () => {
        const key = { requestMethod: request?.method ?? null, requestId: request?.id ?? null, requestHash: request?.hash ?? null };
        try {
          await Row.create({ projectId: project, ...row, ...key, labels: { ...labels } }, { returning: false });
          return true;
        } catch (error) {
          if (error instanceof UniqueConstraintError) return false;
          if (error instanceof ForeignKeyConstraintError) throw new NotFound("program", row.programId);
          throw error;
        }
      }),

    change: (project, id, from, { durationMs, tokenUsage, ...changes }) =>
      database.use(async () => {
        const spent = tokenUsage && {
          inputTokens: String(tokenUsage.inputTokens),
          outputTokens: String(tokenUsage.outputTokens),
          cachedTokens: String(tokenUsage.cachedTokens),
          lmCalls: String(tokenUsage.lmCalls),
        };
        const [, [row]] = await Row.update(
          { ...changes, ...spent, ...(durationMs !== undefined && { durationMs: String(durationMs) }) },
          { where: { projectId: project, id, runnerId: null, status: { [Op.in]: [...from] } }, returning: true },
        );
        return row && executionOf(row);
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
