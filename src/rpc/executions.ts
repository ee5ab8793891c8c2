import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { ExecutionActions } from "../actions/executions/actions.ts";
import type { ExternalRunRequest } from "../actions/executions/external-runs.ts";
import type { WatchEvent } from "../actions/executions/watch.ts";
import { annotationsOf } from "../domain/annotations.ts";
import { Invalid } from "../domain/faults.ts";
import { checkUuid } from "../domain/uuid.ts";
import {
  type CreateExecutionRequest,
  ExecutionSchema,
  type ExecutionService,
  ExecutionView,
  type StartExecutionRequest,
  type WatchExecutionsResponseSchema,
} from "../gen/sigrun/v1/execution_service_pb.ts";
import { callerOf } from "./caller.ts";
import { aggregateMessage, executionMessage, usageOf } from "./wire/execution.ts";
import { readExecutionMask } from "./wire/execution-mask.ts";
import { pageMessage } from "./wire/page.ts";
import { requiredField } from "./wire/required-field.ts";
import { valuesOf } from "./wire/signature.ts";

export function executionService(actions: ExecutionActions): ServiceImpl<typeof ExecutionService> {
  return {
    async getExecution({ id, view, readMask }, context) {
      const { project } = callerOf(context);
      const mask = readExecutionMask(readMask?.paths ?? [], view || ExecutionView.FULL);
      const execution = await actions.getExecution(project, requiredField(id, "id"));
      return { execution: mask.apply(executionMessage(execution, mask.view)) };
    },

    async listExecutions(request, context) {
      const { project } = callerOf(context);
      const { view, apply } = readExecutionMask(
        request.readMask?.paths ?? [],
        request.view || ExecutionView.BASIC,
      );
      const { rows, ...page } = await actions.listExecutions(project, request, view === ExecutionView.FULL);
      const executions = rows.map((execution) => apply(executionMessage(execution, view)));
      return { executions, ...pageMessage(page) };
    },

    async aggregateExecutions(request, context) {
      const { project } = callerOf(context);
      return { aggregates: (await actions.aggregateExecutions(project, request)).map(aggregateMessage) };
    },

    async *watchExecutions(request, context) {
      const { project, signal } = callerOf(context);
      const view = request.view || ExecutionView.BASIC;
      for await (const event of actions.watchExecutions(
        project,
        request,
        view === ExecutionView.FULL,
        signal,
      ))
        yield watchMessage(event, view);
    },

    async updateExecution({ execution, updateMask, validateOnly }, context) {
      const { project } = callerOf(context);
      const id = requiredField(execution?.id ?? "", "execution.id");
      const updated = await actions.updateExecution(project, {
        id,
        etag: execution?.etag ?? "",
        annotations: annotationsOf(execution ?? create(ExecutionSchema)),
        mask: updateMask?.paths ?? [],
        validateOnly,
      });
      return { execution: executionMessage(updated, ExecutionView.BASIC) };
    },

    async deleteExecution({ id }, context) {
      const { project } = callerOf(context);
      checkUuid(requiredField(id, "id"), "id");
      await actions.deleteExecution(project, id);
      return {};
    },

    async cancelExecution({ key }, context) {
      const { project } = callerOf(context);
      if (!key.value)
        throw Invalid.at("REQUEST_INVALID", "id", "is missing: send an id or a request_id", "missing");
      const cancelled = await actions.cancelExecution(
        project,
        key.case === "id" ? { id: key.value } : { requestId: key.value },
      );
      return { execution: executionMessage(cancelled, ExecutionView.BASIC) };
    },

    async createExecution(request, context) {
      const { project } = callerOf(context);
      return {
        execution: executionMessage(
          await actions.createExecution(project, externalRunRequest(request)),
          ExecutionView.BASIC,
        ),
      };
    },

    async startExecution(request, context) {
      const { project } = callerOf(context);
      const started =
        request.id === ""
          ? actions.startExecution(project, externalRunRequest(request))
          : actions.startPendingExecution(project, request.id);
      return { execution: executionMessage(await started, ExecutionView.BASIC) };
    },

    async completeExecution({ id, outputs, durationMs, tokenUsage, model }, context) {
      const { project } = callerOf(context);
      const end = {
        outputs: valuesOf(outputs),
        model,
        tokenUsage: usageOf(tokenUsage),
        ...(durationMs !== undefined && { durationMs: Number(durationMs) }),
      };
      return {
        execution: executionMessage(
          await actions.completeExecution(project, requiredField(id, "id"), end),
          ExecutionView.BASIC,
        ),
      };
    },

    async failExecution({ id, errorMessage, errorReason, durationMs, tokenUsage }, context) {
      const { project } = callerOf(context);
      const end = {
        errorMessage,
        errorReason,
        tokenUsage: usageOf(tokenUsage),
        ...(durationMs !== undefined && { durationMs: Number(durationMs) }),
      };
      return {
        execution: executionMessage(
          await actions.failExecution(project, requiredField(id, "id"), end),
          ExecutionView.BASIC,
        ),
      };
    },
  };
}

function watchMessage(
  event: WatchEvent,
  view: ExecutionView,
): MessageInitShape<typeof WatchExecutionsResponseSchema> {
  const { resumeToken } = event;
  if ("execution" in event)
    return { event: { case: "execution", value: executionMessage(event.execution, view) }, resumeToken };
  if ("deletedId" in event) return { event: { case: "deletedId", value: event.deletedId }, resumeToken };
  return { event: { case: event.sign, value: {} }, resumeToken };
}

function externalRunRequest(request: CreateExecutionRequest | StartExecutionRequest): ExternalRunRequest {
  const { programId, inputs, requestId } = request;
  return {
    programId: requiredField(programId, "program_id"),
    inputs: valuesOf(inputs),
    requestId,
    ...annotationsOf(request),
  };
}
