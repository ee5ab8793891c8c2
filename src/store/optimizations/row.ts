import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Sequelize,
} from "sequelize";
import type { TokenUsage } from "../../domain/execution.ts";
import type { Labels } from "../../domain/labels.ts";
import type { OptimizationStatus } from "../../domain/lifecycle.ts";
import type { Optimization, OptimizationTask } from "../../domain/optimization/optimization.ts";

export class OptimizationRow extends Model<
  InferAttributes<OptimizationRow>,
  InferCreationAttributes<OptimizationRow>
> {
  declare projectId: string;
  declare id: string;
  declare programId: string;
  declare baseRevision: number;
  declare optimizer: string;
  declare metrics: Optimization["metrics"];
  declare config: Optimization["config"];
  /** bigint columns come as strings. */
  declare seed: string;
  declare budget: OptimizationTask["budget"];
  declare keepWorse: boolean;
  declare lms: OptimizationTask["lms"];
  declare labels: Labels;
  declare trainset: OptimizationTask["trainset"];
  declare valset: OptimizationTask["valset"];
  declare trainsetSize: number;
  declare valsetSize: number;
  declare status: OptimizationStatus;
  declare attempt: CreationOptional<number>;
  declare handedOver: CreationOptional<number>;
  declare phase: CreationOptional<string>;
  declare message: CreationOptional<string>;
  declare fraction: CreationOptional<number | null>;
  declare bestScore: CreationOptional<number | null>;
  declare baselineScore: CreationOptional<number | null>;
  declare score: CreationOptional<number | null>;
  declare revision: CreationOptional<number | null>;
  declare errorReason: CreationOptional<string>;
  declare errorMessage: CreationOptional<string>;
  declare inputTokens: CreationOptional<string>;
  declare outputTokens: CreationOptional<string>;
  declare cachedTokens: CreationOptional<string>;
  declare lmCalls: CreationOptional<string>;
  declare requestId: string | null;
  declare requestHash: string | null;
  declare startedAt: CreationOptional<Date | null>;
  declare completedAt: CreationOptional<Date | null>;
  declare createdAt: CreationOptional<Date>;
  declare updatedAt: CreationOptional<Date>;
}

export type OptimizationRows = ReturnType<typeof defineOptimizationRows>;

// Made anew for each column: Sequelize writes the column's name into it.
const text = () => ({ type: DataTypes.TEXT, allowNull: false });
const json = () => ({ type: DataTypes.JSON, allowNull: false });
const integer = () => ({ type: DataTypes.INTEGER, allowNull: false });
const counter = () => ({ type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 });

/** The table of optimizations as Sequelize knows it. */
export function defineOptimizationRows(sequelize: Sequelize) {
  return class extends OptimizationRow {}.init(
    {
      projectId: { type: DataTypes.UUID, primaryKey: true },
      id: { type: DataTypes.UUID, primaryKey: true },
      programId: { type: DataTypes.UUID, allowNull: false },
      baseRevision: integer(),
      optimizer: text(),
      metrics: json(),
      config: { type: DataTypes.JSONB, allowNull: false },
      seed: { type: DataTypes.BIGINT, allowNull: false },
      budget: json(),
      keepWorse: { type: DataTypes.BOOLEAN, allowNull: false },
      lms: json(),
      labels: { type: DataTypes.JSONB, allowNull: false },
      trainset: json(),
      valset: json(),
      trainsetSize: integer(),
      valsetSize: integer(),
      status: text(),
      attempt: { ...integer(), defaultValue: 0 },
      handedOver: { ...integer(), defaultValue: 0 },
      phase: { ...text(), defaultValue: "" },
      message: { ...text(), defaultValue: "" },
      fraction: DataTypes.DOUBLE,
      bestScore: DataTypes.DOUBLE,
      baselineScore: DataTypes.DOUBLE,
      score: DataTypes.DOUBLE,
      revision: DataTypes.INTEGER,
      errorReason: { ...text(), defaultValue: "" },
      errorMessage: { ...text(), defaultValue: "" },
      inputTokens: counter(),
      outputTokens: counter(),
      cachedTokens: counter(),
      lmCalls: counter(),
      requestId: DataTypes.UUID,
      requestHash: DataTypes.TEXT,
      startedAt: DataTypes.DATE,
      completedAt: DataTypes.DATE,
      createdAt: DataTypes.DATE,
      updatedAt: DataTypes.DATE,
    },
    // PostgreSQL makes created_at from the id.
    { sequelize, modelName: "Optimization", tableName: "optimizations", underscored: true, createdAt: false },
  );
}

/** What only whoever takes it up reads. */
const taskColumns = ["trainset", "valset", "budget", "keepWorse", "lms"];

/** The columns of the record by the names that optimizationOf knows. */
export function optimizationSelect(Row: OptimizationRows): string {
  return Object.entries(Row.getAttributes())
    .filter(([name]) => !taskColumns.includes(name))
    .map(([name, { field = name }]) => `${field} AS "${name}"`)
    .join(", ");
}

export function optimizationOf(row: OptimizationRow): Optimization {
  const { metrics, config, labels, phase, message, fraction, bestScore, baselineScore, score, revision } =
    row;
  return {
    id: row.id,
    programId: row.programId,
    baseRevision: row.baseRevision,
    optimizer: row.optimizer,
    ...{ metrics, config, labels, phase, message },
    ...{ fraction, bestScore, baselineScore, score, revision },
    seed: Number(row.seed),
    trainsetSize: row.trainsetSize,
    valsetSize: row.valsetSize,
    status: row.status,
    errorReason: row.errorReason,
    errorMessage: row.errorMessage,
    tokenUsage: usageOf(row),
    attempt: row.attempt,
    requestId: row.requestId ?? "",
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    updatedAt: row.updatedAt,
  };
}

const usageOf = (
  row: Pick<OptimizationRow, "inputTokens" | "outputTokens" | "cachedTokens" | "lmCalls">,
): TokenUsage => ({
  inputTokens: Number(row.inputTokens),
  outputTokens: Number(row.outputTokens),
  cachedTokens: Number(row.cachedTokens),
  lmCalls: Number(row.lmCalls),
});
