import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, durationMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Invalid } from "../../domain/faults.ts";
import type { Budget, Example, Metric, Optimization } from "../../domain/optimization/optimization.ts";
import {
  type Metric as MetricMessage,
  type OptimizationSchema,
  OptimizationStatus,
} from "../../gen/sigrun/v1/optimization_service_pb.ts";
import type {
  Budget as BudgetMessage,
  Example as ExampleMessage,
} from "../../gen/sigrun/v1/program_service_pb.ts";
import { usageMessage } from "./execution.ts";
import { valuesOf } from "./signature.ts";

export const exampleOf = ({ inputs, outputs }: ExampleMessage): Example => ({
  inputs: valuesOf(inputs),
  outputs: valuesOf(outputs),
});

export const metricOf = ({ name, field, params, weight }: MetricMessage): Metric => ({
  name,
  field,
  params: valuesOf(params),
  weight: weight ?? 1,
});

export function budgetOf(message: BudgetMessage | undefined): Budget | undefined {
  if (!message) return undefined;
  const { time, lmCalls, tokens } = message;
  return { timeMs: time ? timeOf(time) : 0, lmCalls: Number(lmCalls), tokens: Number(tokens) };
}

const maxNanos = 999_999_999;

/** Milliseconds; a part of one counts as one, because 0 stands for the default. */
function timeOf(time: Duration): number {
  const { seconds, nanos } = time;
  if (Math.abs(nanos) > maxNanos || (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)) {
    const description = "must be a duration whose nanos have the sign of its seconds and 9 digits at most";
    throw Invalid.at("REQUEST_INVALID", "budget.time", description, "range");
  }
  if (seconds === 0n && nanos !== 0 && Math.abs(nanos) < 1_000_000) return Math.sign(nanos);
  return durationMs(time);
}

const statuses = {
  pending: OptimizationStatus.PENDING,
  running: OptimizationStatus.RUNNING,
  completed: OptimizationStatus.COMPLETED,
  failed: OptimizationStatus.FAILED,
  cancelled: OptimizationStatus.CANCELLED,
} as const;

export function optimizationMessage(optimization: Optimization): MessageInitShape<typeof OptimizationSchema> {
  const { fraction, message, bestScore, phase, baselineScore, score, startedAt, completedAt, tokenUsage } =
    optimization;
  return {
    id: optimization.id,
    programId: optimization.programId,
    baseRevision: optimization.baseRevision,
    optimizer: optimization.optimizer,
    metrics: optimization.metrics.map(({ params, ...metric }) => ({
      ...metric,
      ...(Object.keys(params).length > 0 && { params: params as JsonObject }),
    })),
    config: optimization.config as JsonObject,
    seed: BigInt(optimization.seed),
    threads: optimization.threads,
    trainsetSize: optimization.trainsetSize,
    valsetSize: optimization.valsetSize,
    status: statuses[optimization.status],
    progress: {
      message,
      phase,
      lmCalls: BigInt(tokenUsage.lmCalls),
      ...(fraction !== null && { fraction }),
      ...(bestScore !== null && { bestScore }),
    },
    ...(baselineScore !== null && { baselineScore }),
    ...(score !== null && { score }),
    optimizationTimeMs: startedAt
      ? BigInt((completedAt ?? optimization.updatedAt).getTime() - startedAt.getTime())
      : 0n,
    revision: optimization.revision ?? 0,
    errorMessage: optimization.errorMessage,
    errorReason: optimization.errorReason,
    tokenUsage: usageMessage(tokenUsage),
    attempt: optimization.attempt,
    requestId: optimization.requestId,
    labels: optimization.labels,
    createdAt: timestampFromDate(optimization.createdAt),
    ...(startedAt && { startedAt: timestampFromDate(startedAt) }),
    ...(completedAt && { completedAt: timestampFromDate(completedAt) }),
  };
}
