import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { annotationsOf } from "../../domain/annotations.ts";
import { type Execution, executionEtag, type TokenUsage } from "../../domain/execution.ts";
import { Invalid } from "../../domain/faults.ts";
import type { Aggregate } from "../../domain/query/aggregate.ts";
import { snakeCase } from "../../domain/snake-case.ts";
import {
  type ExecutionAggregateSchema,
  type Execution as ExecutionMessage,
  type ExecutionSchema,
  ExecutionStatus,
  ExecutionView,
  type TokenUsage as TokenUsageMessage,
  type TokenUsageSchema,
} from "../../gen/sigrun/v1/execution_service_pb.ts";

const statuses = {
  pending: ExecutionStatus.PENDING,
  running: ExecutionStatus.RUNNING,
  completed: ExecutionStatus.COMPLETED,
  failed: ExecutionStatus.FAILED,
  cancelled: ExecutionStatus.CANCELLED,
} as const;

type Message = MessageInitShape<typeof ExecutionSchema>;
/** All fields but the values. A field that executionMessage forgets does not compile. */
type Basic = {
  [Name in Exclude<keyof ExecutionMessage, `$${string}` | keyof ReturnType<typeof fullViewOf>>]:
    | Message[Name]
    | undefined;
};

export function executionMessage(execution: Execution, view: ExecutionView): Message {
  const { durationMs, startedAt, completedAt } = execution;
  const basic = {
    id: execution.id,
    attempt: execution.attempt,
    programId: execution.programId,
    revision: execution.revision,
    status: statuses[execution.status],
    errorMessage: execution.errorMessage,
    errorReason: execution.errorReason,
    violations: [...execution.violations],
    tokenUsage: usageMessage(execution.tokenUsage),
    model: execution.model,
    finishReason: execution.finishReason,
    requestId: execution.requestId,
    etag: executionEtag(execution),
    ...annotationsOf(execution),
    createdAt: timestampFromDate(execution.createdAt),
    updatedAt: timestampFromDate(execution.updatedAt),
    startedAt: startedAt ? timestampFromDate(startedAt) : undefined,
    completedAt: completedAt ? timestampFromDate(completedAt) : undefined,
    durationMs: durationMs === null ? undefined : BigInt(durationMs),
    durationSeconds: durationMs === null ? undefined : durationMs / 1000,
  } satisfies Basic;
  // protobuf-es takes undefined for a field that is not set.
  return { ...basic, ...(view === ExecutionView.FULL && fullViewOf(execution)) } as Message;
}

/** The fields that only the full view has. */
function fullViewOf({ inputs, outputs, steps }: Execution) {
  return {
    inputs: inputs as JsonObject,
    ...(outputs && { outputs: outputs as JsonObject }),
    steps: steps.map((step) => ({
      module: step.module,
      rawAnswer: step.rawAnswer,
      durationMs: BigInt(step.durationMs),
      tokenUsage: usageMessage(step.tokenUsage),
      finishReason: step.finishReason ?? "",
      ...(step.outputs && { outputs: step.outputs as JsonObject }),
    })),
  };
}

export function usageMessage(usage: TokenUsage): MessageInitShape<typeof TokenUsageSchema> {
  return {
    inputTokens: BigInt(usage.inputTokens),
    outputTokens: BigInt(usage.outputTokens),
    totalTokens: BigInt(usage.inputTokens + usage.outputTokens),
    cachedTokens: BigInt(usage.cachedTokens),
    lmCalls: BigInt(usage.lmCalls),
  };
}

export function aggregateMessage(aggregate: Aggregate): MessageInitShape<typeof ExecutionAggregateSchema> {
  const { count, completed } = aggregate;
  return {
    group: aggregate.group,
    count: BigInt(count),
    completed: BigInt(completed),
    failed: BigInt(aggregate.failed),
    cancelled: BigInt(aggregate.cancelled),
    successRate: count === 0 ? 0 : completed / count,
    durationMsAvg: aggregate.averageMs,
    durationMsP50: aggregate.p50Ms,
    durationMsP95: aggregate.p95Ms,
    durationMsP99: aggregate.p99Ms,
    tokenUsage: usageMessage(aggregate.tokenUsage),
  };
}

/** The usage that a caller reports for an external run. Ignores its total, which is the sum. */
export function usageOf(usage: TokenUsageMessage | undefined): TokenUsage {
  const { inputTokens = 0n, outputTokens = 0n, cachedTokens = 0n, lmCalls = 0n } = usage ?? {};
  const counts = { inputTokens, outputTokens, cachedTokens, lmCalls };
  for (const [name, count] of Object.entries(counts))
    if (count < 0n || count > BigInt(Number.MAX_SAFE_INTEGER)) {
      const field = `token_usage.${snakeCase(name)}`;
      throw Invalid.at("REQUEST_INVALID", field, "must be from 0 to 2^53-1", "range");
    }
  return {
    inputTokens: Number(inputTokens),
    outputTokens: Number(outputTokens),
    cachedTokens: Number(cachedTokens),
    lmCalls: Number(lmCalls),
  };
}
