import type { Trace, Values } from "../domain/execution.ts";
import type { Done, Trace as TraceMessage } from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import { sidecarUsage } from "./usage.ts";
import { readValues } from "./values.ts";

export type Answer = {
  readonly outputs: Values;
  readonly trace: Trace;
  readonly metricScores: readonly number[];
};

/** The answer of a run that ended well. */
export const answerOf = ({ outputs, trace, metricScores }: Done): Answer => ({
  outputs: readValues(outputs) ?? {},
  trace: traceOf(trace),
  metricScores,
});

/** The steps and tokens of a run so far. */
export function traceOf(trace: TraceMessage | undefined): Trace {
  return {
    steps: (trace?.steps ?? []).map((step) => ({
      module: step.module,
      outputs: readValues(step.outputs),
      rawAnswer: step.rawAnswer,
      tokenUsage: sidecarUsage(step.tokenUsage),
      durationMs: Number(step.durationMs),
      finishReason: step.finishReason,
    })),
    tokenUsage: sidecarUsage(trace?.tokenUsage),
    model: trace?.model ?? "",
  };
}
