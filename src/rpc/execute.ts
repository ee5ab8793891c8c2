import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { ExecutionActions } from "../actions/executions/actions.ts";
import type { BatchAnswer } from "../actions/executions/batch.ts";
import type { RunRequest } from "../actions/executions/run-request.ts";
import { annotationsOf, annotationsOver } from "../domain/annotations.ts";
import type { Execution } from "../domain/execution.ts";
import { Fault, type Reason } from "../domain/faults.ts";
import { pathUnder } from "../domain/violations.ts";
import { ExecutionView } from "../gen/sigrun/v1/execution_service_pb.ts";
import type {
  ExecuteProgramRequest,
  ProgramService,
  StreamProgramRequest,
} from "../gen/sigrun/v1/program_service_pb.ts";
import type { Logger } from "../telemetry.ts";
import { callerOf, headersOf, runMs } from "./caller.ts";
import { callFault, failureMessage } from "./faults.ts";
import { executionMessage } from "./wire/execution.ts";
import { lmSettings } from "./wire/program.ts";
import { requiredField } from "./wire/required-field.ts";
import { valuesOf } from "./wire/signature.ts";

/** The methods of ProgramService that run a program. */
type ExecuteMethods = Pick<
  ServiceImpl<typeof ProgramService>,
  "executeProgram" | "streamProgram" | "batchExecuteProgram"
>;

export function executeMethods(executions: ExecutionActions, log: Logger): ExecuteMethods {
  return {
    async executeProgram(request, context) {
      const { project, signal, deadline } = callerOf(context);
      const onRecord = (execution: Execution) => setExecutionHeader(context, execution);
      const run = runRequest(request, context);
      return responseOf(
        await executions.executeProgram(project, "execute", run, { signal, deadline, onRecord }),
      );
    },

    async *streamProgram(request, context) {
      const { project, signal, deadline } = callerOf(context);
      const run = runRequest(request, context);
      for await (const event of executions.streamProgram(project, run, { signal, deadline }))
        switch (event.kind) {
          case "started":
            setExecutionHeader(context, event.execution);
            yield {
              event: { case: "started", value: executionMessage(event.execution, ExecutionView.BASIC) },
            };
            break;
          case "chunk":
            yield { event: { case: "chunk", value: event } };
            break;
          case "reset":
            yield { event: { case: "reset", value: event } };
            break;
          case "done":
            yield { event: { case: "done", value: responseOf(event.execution) } };
        }
    },

    async *batchExecuteProgram({ programId, revision, items, labels, lm, concurrency }, context) {
      const { project, signal } = callerOf(context);
      const headers = headersOf(context);
      const batch = {
        programId: requiredField(programId, "program_id"),
        revision: revision || headers.revision,
        labels: { ...headers.labels, ...labels },
        lm: lmSettings(lm),
        concurrency,
        items: items.map((item) => ({
          inputs: valuesOf(item.inputs),
          ...annotationsOf(item),
          requestId: item.requestId,
        })),
      };
      const timeoutMs = context.timeoutMs() ?? runMs;
      for await (const answer of executions.batchExecuteProgram(project, batch, { signal, timeoutMs }))
        yield { index: answer.index, result: resultOf(answer, log) };
    },
  };
}

function runRequest(
  request: ExecuteProgramRequest | StreamProgramRequest,
  context: HandlerContext,
): RunRequest {
  const headers = headersOf(context);
  return {
    programId: requiredField(request.programId, "program_id"),
    revision: request.revision || headers.revision,
    inputs: valuesOf(request.inputs),
    ...annotationsOver(headers.labels, request),
    lm: lmSettings(request.lm),
    requestId: request.requestId || headers.requestId,
  };
}

function setExecutionHeader({ responseHeader }: HandlerContext, { id }: Execution): void {
  responseHeader.set("sigrun-execution-id", id);
}

/** The response of a completed run. A failed run throws the fault that is on its record. */
function responseOf(execution: Execution) {
  const { id, outputs, errorReason, errorMessage, violations, retryAfterMs } = execution;
  if (outputs) return { outputs, execution: executionMessage(execution, ExecutionView.BASIC) };
  throw new Fault(errorReason as Reason, errorMessage, {
    metadata: { execution_id: id },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    violations: violations.map((violation) => ({
      ...violation,
      field: pathUnder("outputs", violation.field),
    })),
  });
}

/** The response or the failure that the item would have got from ExecuteProgram. */
function resultOf(answer: BatchAnswer, log: Logger) {
  try {
    if ("error" in answer) throw answer.error;
    return { case: "response", value: responseOf(answer.execution) } as const;
  } catch (error) {
    return {
      case: "failure",
      value: failureMessage(callFault(error, "sigrun.v1.ProgramService/BatchExecuteProgram", log)),
    } as const;
  }
}
