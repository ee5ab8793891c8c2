import type { JsonObject } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { EvaluationActions } from "../actions/evaluations/actions.ts";
import type { ExampleScore, Summary } from "../domain/optimization/evaluation.ts";
import type { ProgramService } from "../gen/sigrun/v1/program_service_pb.ts";
import type { Logger } from "../telemetry.ts";
import { callerOf } from "./caller.ts";
import { callFault, failureMessage } from "./faults.ts";
import { usageMessage } from "./wire/execution.ts";
import { exampleOf, metricOf } from "./wire/optimization.ts";
import { lmSettings } from "./wire/program.ts";
import { requiredField } from "./wire/required-field.ts";

/** EvaluateProgram, a method of ProgramService: streams each result, then the summary. */
export function evaluateMethods(
  evaluations: EvaluationActions,
  log: Logger,
): Pick<ServiceImpl<typeof ProgramService>, "evaluateProgram"> {
  return {
    async *evaluateProgram({ programId, revision, dataset, metrics, lm, concurrency }, context) {
      const { project, signal, deadline } = callerOf(context);
      const options = {
        programId: requiredField(programId, "program_id"),
        revision,
        dataset: dataset.map(exampleOf),
        metrics: metrics.map(metricOf),
        lm: lmSettings(lm),
        concurrency,
      };
      for await (const part of evaluations.evaluateProgram(project, options, { signal, deadline }))
        yield { event: eventOf(part, log) };
    },
  };
}

function eventOf(part: ExampleScore | Summary, log: Logger) {
  if ("examples" in part)
    return { case: "summary", value: { ...part, tokenUsage: usageMessage(part.tokenUsage) } } as const;
  const { index, score } = part;
  if ("outputs" in part)
    return { case: "result", value: { index, score, outputs: part.outputs as JsonObject } } as const;
  const failure = failureMessage(callFault(part.error, "sigrun.v1.ProgramService/EvaluateProgram", log));
  return { case: "result", value: { index, score, failure } } as const;
}
