import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from "sequelize";
import type { Execution, Step, Values } from "../../domain/execution.ts";
import type { Violation } from "../../domain/faults.ts";
import type { ExecutionStatus } from "../../domain/lifecycle.ts";

export class ExecutionRow extends Model<
  InferAttributes<ExecutionRow>,
  InferCreationAttributes<ExecutionRow>
> {
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

export type ExecutionRows = ReturnType<typeof defineExecutionRows>;

/** The table of runs as Sequelize knows it. */
export function defineExecutionRows(sequelize: Sequelize) {
  return class extends ExecutionRow {}.init(
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
    // PostgreSQL makes created_at from the id.
    { sequelize, modelName: "Execution", tableName: "executions", underscored: true, createdAt: false },
  );
}

const valueColumns = ["inputs", "outputs", "steps"];

/** The columns by the names that executionOf knows; without those of any size, where these are not wanted. */
export function executionSelect(Row: ExecutionRows, withValues: boolean): string {
  return Object.entries(Row.getAttributes())
    .filter(([name]) => withValues || !valueColumns.includes(name))
    .map(([name, { field = name }]) => `${field} AS "${name}"`)
    .join(", ");
}

/** How many bytes the values of a row that executionSelect read have as text. */
export const valueBytes = (row: string) =>
  valueColumns.map((name) => `coalesce(octet_length(${row}.${name}::text), 0)`).join(" + ");

/** A row as JSON has it. */
export function executionOfJson(row: ExecutionRow): Execution {
  const dateOf = (time: unknown) => (time === null ? null : new Date(time as string));
  const { startedAt, completedAt, createdAt, updatedAt, ...rest } = executionOf(row);
  const dates = { startedAt: dateOf(startedAt), completedAt: dateOf(completedAt) };
  return { ...rest, ...dates, createdAt: dateOf(createdAt) as Date, updatedAt: dateOf(updatedAt) as Date };
}

export function executionOf(row: ExecutionRow): Execution {
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
