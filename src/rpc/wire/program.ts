import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { CallerProgram } from "../../actions/programs/define.ts";
import type { Execution } from "../../domain/execution.ts";
import type { Performance } from "../../domain/program/performance.ts";
import type { LmSettings, Module, ModuleDraft } from "../../domain/program/program.ts";
import { namedWires } from "../../domain/program/redraft.ts";
import { type Program, type Revision, statusOf } from "../../domain/program/revision.ts";
import { isSameSignature, type Signature } from "../../domain/signature/signature.ts";
import { ExecutionView } from "../../gen/sigrun/v1/execution_service_pb.ts";
import {
  type LmSettings as LmSettingsMessage,
  type LmSettingsSchema,
  type Module as ModuleMessage,
  type ModuleSchema,
  type Program as ProgramMessage,
  type ProgramSchema,
  ProgramStatus,
  ProgramView,
  type RevisionSchema,
} from "../../gen/sigrun/v1/program_service_pb.ts";
import { executionMessage } from "./execution.ts";
import { draftOfSignature, signatureMessage, valuesOf } from "./signature.ts";

export function callerProgram(message: ProgramMessage | undefined): CallerProgram {
  return {
    name: message?.name ?? "",
    description: message?.description ?? "",
    handle: message?.handle ?? "",
    labels: message?.labels ?? {},
    signatureId: message?.signatureId ?? "",
    signature: message?.signature && draftOfSignature(message.signature),
    modules: (message?.modules ?? []).map(draftOfModule),
    lm: lmSettings(message?.lm),
  };
}

function draftOfModule({
  name,
  type,
  signature,
  params,
  lm,
  inputFrom,
  modules,
  tools,
  lms,
}: ModuleMessage): ModuleDraft {
  return {
    name,
    type,
    signature: signature && draftOfSignature(signature),
    params: valuesOf(params),
    lm: lmSettings(lm),
    inputFrom: Object.entries(inputFrom),
    modules: modules.map(draftOfModule),
    tools,
    ...(Object.keys(lms).length > 0 && { lms: lmsByRole(lms) }),
  };
}

export const lmsByRole = (messages: Readonly<Record<string, LmSettingsMessage>>) =>
  Object.fromEntries(Object.entries(messages).map(([role, message]) => [role, lmSettings(message)]));

export function lmSettings(message: LmSettingsMessage | undefined): LmSettings {
  const { model, temperature, maxTokens, params, adapter, cache } = message ?? {};
  return {
    ...(model && { model }),
    ...(temperature !== undefined && { temperature }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(params && { params: valuesOf(params) }),
    ...(adapter && { adapter }),
    ...(cache !== undefined && { cache }),
  };
}

const statuses = {
  draft: ProgramStatus.DRAFT,
  ready: ProgramStatus.READY,
  optimized: ProgramStatus.OPTIMIZED,
  deployed: ProgramStatus.DEPLOYED,
  error: ProgramStatus.ERROR,
} as const;

export type ProgramExtras = { readonly latest?: readonly Execution[]; readonly performance?: Performance };

/** The newest executions in `extras` are shown in the basic view, without inputs and outputs. */
export function programMessage(
  program: Program,
  view: ProgramView,
  extras: ProgramExtras = {},
): MessageInitShape<typeof ProgramSchema> {
  const { newest } = program;
  const { latest = [], performance } = extras;
  const metrics = performance
    ? metricsOf(performance)
    : { ...(newest.score !== null && { score: newest.score }) };
  return {
    id: program.id,
    name: program.name,
    description: program.description,
    handle: program.handle,
    labels: program.labels,
    etag: program.etag,
    status: statuses[statusOf(program)],
    signatureId: newest.signatureId,
    signature: signatureOfRevision(newest),
    modules: newest.definition.modules.map((module) => moduleMessage(module, newest.definition.signature)),
    ...lmMessage(newest.definition.lm),
    dspyProgramId: newest.dspyProgramId,
    revision: newest.number,
    deployedRevision: program.deployedRevision ?? 0,
    errorReason: newest.errorReason,
    errorMessage: newest.errorMessage,
    createdAt: timestampFromDate(program.createdAt),
    updatedAt: timestampFromDate(program.updatedAt),
    ...(Object.keys(metrics).length > 0 && { performanceMetrics: metrics }),
    ...(view === ProgramView.FULL && { compiledState: newest.definition.compiledState }),
    latestExecutions: latest.map((execution) => executionMessage(execution, ExecutionView.BASIC)),
  };
}

function metricsOf({ score, baselineScore, evaluation, executions }: Performance): JsonObject {
  return {
    ...(score !== null && { score }),
    ...(baselineScore !== null && { baseline_score: baselineScore }),
    ...(evaluation && { evaluation }),
    executions: {
      count: executions.count,
      success_rate: executions.successRate,
      duration_ms_avg: executions.averageMs,
      duration_ms_p50: executions.p50Ms,
      duration_ms_p95: executions.p95Ms,
      duration_ms_p99: executions.p99Ms,
      input_tokens: executions.inputTokens,
      output_tokens: executions.outputTokens,
      lm_calls: executions.lmCalls,
    },
  };
}

/** Only GetRevision sets `withState`. */
export function revisionMessage(
  revision: Revision,
  withState: boolean,
): MessageInitShape<typeof RevisionSchema> {
  const { definition, score } = revision;
  return {
    programId: revision.programId,
    number: revision.number,
    origin: revision.origin,
    optimizationId: revision.optimizationId ?? "",
    status: statuses[revision.status],
    signatureId: revision.signatureId,
    signature: signatureOfRevision(revision),
    modules: definition.modules.map((module) => moduleMessage(module, definition.signature)),
    ...lmMessage(definition.lm),
    dspyProgramId: revision.dspyProgramId,
    createdAt: timestampFromDate(revision.createdAt),
    ...(score !== null && { score }),
    ...(withState && { compiledState: definition.compiledState }),
  };
}

const signatureOfRevision = ({ definition, signatureId: id, signatureVersion: version }: Revision) => ({
  ...signatureMessage(definition.signature),
  id,
  version,
});

/** A module as a caller would write it, without the program's own signature and empty settings. */
function moduleMessage(module: Module, programSignature: Signature): MessageInitShape<typeof ModuleSchema> {
  const { name, type, signature, params, lm, modules, tools = [], lms = {} } = module;
  return {
    name,
    type,
    inputFrom: Object.fromEntries(namedWires(module)),
    modules: modules.map((inner) => moduleMessage(inner, signature)),
    tools: [...tools],
    lms: Object.fromEntries(Object.entries(lms).map(([role, own]) => [role, settingsMessage(own)])),
    ...(!isSameSignature(signature, programSignature) && { signature: signatureMessage(signature) }),
    ...(Object.keys(params).length > 0 && { params: params as JsonObject }),
    ...lmMessage(lm),
  };
}

function lmMessage({ params, ...settings }: LmSettings): { lm?: MessageInitShape<typeof LmSettingsSchema> } {
  const isSet = params !== undefined || Object.keys(settings).length > 0;
  return isSet ? { lm: settingsMessage({ ...settings, ...(params && { params }) }) } : {};
}

const settingsMessage = ({ params, ...settings }: LmSettings): MessageInitShape<typeof LmSettingsSchema> => ({
  ...settings,
  ...(params && { params: params as JsonObject }),
});
