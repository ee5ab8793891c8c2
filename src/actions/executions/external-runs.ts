import { v7 as uuidv7 } from "uuid";
import { type Annotations, annotationsOf, checkAnnotations } from "../../domain/annotations.ts";
import { maxCharacters } from "../../domain/bounds.ts";
import type { Execution, TokenUsage, Values } from "../../domain/execution.ts";
import { Invalid, StatusConflict } from "../../domain/faults.ts";
import { textFault } from "../../domain/json.ts";
import { type ExecutionEvent, executionConflict, executionStep } from "../../domain/lifecycle.ts";
import { type RequestKey, requestKey } from "../../domain/request.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import { checkUuid } from "../../domain/uuid.ts";
import { createViolations } from "../../domain/violations.ts";
import type { ExecutionChangeStore, ExecutionChanges } from "../../store/executions/changes.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import { once } from "../once.ts";
import { checkInputs } from "./inputs.ts";

export type ExternalRunRequest = Annotations & {
  readonly programId: string;
  readonly inputs: Values;
  readonly requestId: string;
};

type Deps = {
  programs: ProgramStore;
  executions: ExecutionStore;
  changes: ExecutionChangeStore;
  schemas: SchemaCache;
};

const maxErrorMessage = maxCharacters.errorMessage;

/** Records runs that happen outside this server: the caller reports each step. */
export function createExternalRuns({ programs, executions, changes, schemas }: Deps) {
  async function record(
    project: string,
    request: ExternalRunRequest,
    status: "pending" | "running",
  ): Promise<Execution> {
    const key = requestKey(status === "pending" ? "create" : "start", request.requestId, request);
    const { execution } = await once(
      key,
      (requestIdKey) => executions.findByRequest(project, requestIdKey),
      () => insert(project, request, status, key),
    );
    return execution;
  }

  /** Undefined if another call recorded the same request_id first. */
  async function insert(
    project: string,
    request: ExternalRunRequest,
    status: "pending" | "running",
    key: RequestKey | null,
  ): Promise<{ execution: Execution } | undefined> {
    const v = createViolations();
    checkAnnotations(request, v);
    v.throwIfAny("REQUEST_INVALID");
    const { program, revision } = await programs.getRevision(project, request.programId, 0);
    const inputs = checkInputs(schemas, revision.definition.signature, request.inputs);
    const startedAt = status === "running" ? new Date() : null;
    const id = uuidv7();
    const row = {
      id,
      programId: program.id,
      revision: revision.number,
      status,
      inputs,
      ...annotationsOf(request),
      request: key,
      startedAt,
    };
    const isRecorded = await changes.insert(project, row);
    return isRecorded ? { execution: await executions.get(project, id) } : undefined;
  }

  async function step(
    project: string,
    id: string,
    event: ExecutionEvent,
    changed: Omit<ExecutionChanges, "status">,
  ): Promise<Execution> {
    checkUuid(id, "id");
    const { from, to } = executionStep(event);
    const execution = await changes.change(project, id, from, { ...changed, status: to }, "external");
    if (execution) return execution;
    const { status } = await executions.get(project, id);
    if (from.includes(status))
      throw new StatusConflict(`execution ${id} can't become ${to}: this server runs it itself`);
    throw executionConflict(event, status, id);
  }

  return {
    createExecution: (project: string, request: ExternalRunRequest) => record(project, request, "pending"),
    startExecution: (project: string, request: ExternalRunRequest) => record(project, request, "running"),
    startPendingExecution: (project: string, id: string) =>
      step(project, id, "start", { startedAt: new Date() }),

    async completeExecution(
      project: string,
      id: string,
      end: { outputs: Values; durationMs?: number; tokenUsage: TokenUsage; model: string },
    ) {
      checkUuid(id, "id");
      checkModel(end.model);
      const execution = await executions.get(project, id);
      const { revision } = await programs.getRevision(project, execution.programId, execution.revision);
      const checked = schemas.of(revision.definition.signature).outputs.validate(end.outputs);
      if (!checked.ok) {
        const v = createViolations("outputs");
        v.take(checked.violations);
        throw v.fault("REQUEST_INVALID");
      }
      return step(project, id, "complete", {
        ...end,
        ...endTimes(execution, end.durationMs),
        outputs: checked.values,
      });
    },

    async failExecution(
      project: string,
      id: string,
      end: { errorMessage: string; errorReason: string; durationMs?: number; tokenUsage: TokenUsage },
    ) {
      checkUuid(id, "id");
      const execution = await executions.get(project, id);
      const errorReason = end.errorReason || "INTERNAL";
      if (!/^[A-Z][A-Z0-9_]{0,62}$/.test(errorReason))
        throw Invalid.at(
          "REQUEST_INVALID",
          "error_reason",
          "must be upper case letters, digits and _, e.g. OUTPUT_INVALID",
          "pattern",
        );
      const errorMessage = end.errorMessage
        .slice(0, maxErrorMessage)
        .toWellFormed()
        .replaceAll("\0", "\ufffd");
      return step(project, id, "fail", {
        ...end,
        ...endTimes(execution, end.durationMs),
        errorReason,
        errorMessage,
      });
    },
  };
}

function checkModel(model: string): void {
  const fault = textFault(model);
  if (fault) throw Invalid.at("REQUEST_INVALID", "model", fault, "text");
}

/** The time of the end, and the duration: the reported one, or else the time since the start. */
function endTimes(
  { startedAt }: Execution,
  durationMs: number | undefined,
): { completedAt: Date; durationMs?: number } {
  if (durationMs !== undefined && !(durationMs >= 0 && durationMs <= Number.MAX_SAFE_INTEGER))
    throw Invalid.at("REQUEST_INVALID", "duration_ms", "must be from 0 to 2^53-1", "range");
  const completedAt = new Date();
  const duration =
    durationMs ?? (startedAt ? Math.max(0, completedAt.getTime() - startedAt.getTime()) : undefined);
  return { completedAt, ...(duration !== undefined && { durationMs: duration }) };
}
