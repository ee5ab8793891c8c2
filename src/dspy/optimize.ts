import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TokenUsage, Values } from "../domain/execution.ts";
import type { Budget, Example, Metric, Progress } from "../domain/optimization/optimization.ts";
import type { Definition, LmSettings } from "../domain/program/program.ts";
import type {
  OptimizationProgress,
  OptimizeProgramRequestSchema,
} from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import { lmMessages, metricMessage, programMessage } from "./definition.ts";
import { sidecarUsage } from "./usage.ts";
import { bytesOf } from "./values.ts";

/** A call that optimizes a program. */
export type OptimizeCall = {
  readonly id: string;
  /** The program's, from which its class gets its name in the optimizer's requests. */
  readonly handle: string;
  readonly dspyProgramId: string;
  readonly definition: Definition;
  readonly optimizer: string;
  readonly config: Values;
  readonly metrics: readonly Metric[];
  readonly trainset: readonly Example[];
  readonly valset: readonly Example[];
  readonly seed: number;
  readonly threads: number;
  readonly budget: Budget;
  readonly lms: Readonly<Record<string, LmSettings>>;
};

export type OptimizeEvent =
  | ({
      readonly kind: "progress";
      readonly baselineScore: number | null;
      readonly tokenUsage: TokenUsage;
    } & Progress)
  | {
      readonly kind: "result";
      readonly compiledState: string;
      readonly baselineScore: number;
      readonly score: number;
      readonly tokenUsage: TokenUsage;
      readonly message: string;
    };

export function optimizeMessage(call: OptimizeCall): MessageInitShape<typeof OptimizeProgramRequestSchema> {
  const { timeMs, lmCalls, tokens } = call.budget;
  return {
    optimizationId: call.id,
    handle: call.handle,
    program: programMessage(call.dspyProgramId, call.definition),
    optimizer: call.optimizer,
    config: bytesOf(call.config),
    metrics: call.metrics.map(metricMessage),
    trainset: call.trainset.map(exampleMessage),
    valset: call.valset.map(exampleMessage),
    seed: BigInt(call.seed),
    threads: call.threads,
    budget: { timeMs: BigInt(timeMs), lmCalls: BigInt(lmCalls), tokens: BigInt(tokens) },
    lms: lmMessages(call.lms),
  };
}

export function progressOf({
  phase,
  message,
  fraction,
  bestScore,
  baselineScore,
  tokenUsage,
}: OptimizationProgress) {
  return {
    phase,
    message,
    fraction: fraction ?? null,
    bestScore: bestScore ?? null,
    baselineScore: baselineScore ?? null,
    tokenUsage: sidecarUsage(tokenUsage),
  };
}

const exampleMessage = ({ inputs, outputs }: Example) => ({
  inputs: bytesOf(inputs),
  outputs: bytesOf(outputs),
});
