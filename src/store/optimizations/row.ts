import type { Sequelize } from "sequelize";
import type { Optimization, OptimizationTask } from "../../domain/optimization/optimization.ts";
import { type ColumnTypes, defineTable, selectList } from "../table.ts";
import { type TokenColumns, tokenUsageOf } from "../token-columns.ts";

/** A row of `optimizations`: the record, the task, and columns that only the store uses. */
export type OptimizationRow = Omit<Optimization, "seed" | "tokenUsage" | "requestId"> &
  OptimizationTask &
  TokenColumns & {
    readonly projectId: string;
    /** Attempts that did not die but were handed to another gateway. */
    readonly handedOver: number;
    readonly requestId: string | null;
    readonly requestHash: string | null;
    /** bigint columns come as strings. */
    readonly seed: string;
  };

/** Columns that a new row must have. PostgreSQL gives the others a default. */
type RequiredName =
  | (
      | "projectId"
      | "id"
      | "programId"
      | "baseRevision"
      | "optimizer"
      | "metrics"
      | "config"
      | "seed"
      | "threads"
      | "labels"
    )
  | ("trainsetSize" | "valsetSize" | "status" | "requestId" | "requestHash" | keyof OptimizationTask);
type NewOptimizationRow = Pick<OptimizationRow, RequiredName>;

/** Columns that are read only to work on the optimization. */
const taskColumns: ColumnTypes<OptimizationTask> = {
  trainset: "json",
  valset: "json",
  budget: "json",
  keepWorse: "boolean",
  lms: "json",
};

const recordColumns: ColumnTypes<Omit<OptimizationRow, keyof OptimizationTask>> = {
  projectId: "uuid",
  id: "uuid",
  programId: "uuid",
  baseRevision: "integer",
  optimizer: "text",
  metrics: "json",
  config: "jsonb",
  seed: "bigint",
  threads: "integer",
  labels: "jsonb",
  trainsetSize: "integer",
  valsetSize: "integer",
  status: "text",
  attempt: "integer",
  handedOver: "integer",
  phase: "text",
  message: "text",
  fraction: "double precision",
  bestScore: "double precision",
  baselineScore: "double precision",
  score: "double precision",
  revision: "integer",
  errorReason: "text",
  errorMessage: "text",
  inputTokens: "bigint",
  outputTokens: "bigint",
  cachedTokens: "bigint",
  lmCalls: "bigint",
  requestId: "uuid",
  requestHash: "text",
  startedAt: "timestamptz",
  completedAt: "timestamptz",
  createdAt: "timestamptz",
  updatedAt: "timestamptz",
};

export type OptimizationRows = ReturnType<typeof defineOptimizationRows>;

export const defineOptimizationRows = (sequelize: Sequelize) =>
  defineTable<OptimizationRow, NewOptimizationRow>(sequelize, {
    name: "optimizations",
    columns: { ...recordColumns, ...taskColumns },
    key: ["projectId", "id"],
    hasGeneratedCreatedAt: true,
  });

/** The SELECT list of what optimizationOf reads. */
export const optimizationSelect = selectList(Object.keys(recordColumns));

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
    threads: row.threads,
    trainsetSize: row.trainsetSize,
    valsetSize: row.valsetSize,
    status: row.status,
    errorReason: row.errorReason,
    errorMessage: row.errorMessage,
    tokenUsage: tokenUsageOf(row),
    attempt: row.attempt,
    requestId: row.requestId ?? "",
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    updatedAt: row.updatedAt,
  };
}
