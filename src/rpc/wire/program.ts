import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { CallerProgram } from "../../actions/programs/define.ts";
import type { ModuleDraft } from "../../domain/pipeline.ts";
import type { LmSettings, Module } from "../../domain/program.ts";
import { namedWires } from "../../domain/redraft.ts";
import { type Program, type Revision, statusOf } from "../../domain/revision.ts";
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

function draftOfModule({ name, type, signature, params, lm, inputFrom, modules, tools }: ModuleMessage): ModuleDraft {
  return {
    name,
    type,
    signature: signature && draftOfSignature(signature),
    params: valuesOf(params),
    lm: lmSettings(lm),
    inputFrom: Object.entries(inputFrom),
    modules: modules.map(draftOfModule),
    tools,
  };
}

/** The settings that are set. */
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

export function programMessage(program: Program, view: ProgramView): MessageInitShape<typeof ProgramSchema> {
  const { newest } = program;
  return {
    id: program.id,
    name: program.name,
    description: program.description,
    handle: program.handle,
    labels: program.labels,
    etag: program.etag,
    status: statuses[statusOf(program)],
    signatureId: newest.signatureId,
    signature: { ...signatureMessage(newest.definition.signature), id: newest.signatureId },
    modules: newest.definition.modules.map(moduleMessage),
    lm: lmMessage(newest.definition.lm),
    dspyProgramId: newest.dspyProgramId,
    revision: newest.number,
    deployedRevision: program.deployedRevision ?? 0,
    errorReason: newest.errorReason,
    errorMessage: newest.errorMessage,
    createdAt: timestampFromDate(program.createdAt),
    updatedAt: timestampFromDate(program.updatedAt),
    ...(view === ProgramView.FULL && { compiledState: newest.definition.compiledState }),
  };
}

/** compiledState is for GetRevision alone. */
export function revisionMessage(revision: Revision, withState: boolean): MessageInitShape<typeof RevisionSchema> {
  const { definition, score } = revision;
  return {
    programId: revision.programId,
    number: revision.number,
    origin: revision.origin,
    status: statuses[revision.status],
    signatureId: revision.signatureId,
    signature: { ...signatureMessage(definition.signature), id: revision.signatureId },
    modules: definition.modules.map(moduleMessage),
    lm: lmMessage(definition.lm),
    dspyProgramId: revision.dspyProgramId,
    createdAt: timestampFromDate(revision.createdAt),
    ...(score !== null && { score }),
    ...(withState && { compiledState: definition.compiledState }),
  };
}

function moduleMessage(module: Module): MessageInitShape<typeof ModuleSchema> {
  return {
    name: module.name,
    type: module.type,
    signature: signatureMessage(module.signature),
    params: module.params as JsonObject,
    lm: lmMessage(module.lm),
    inputFrom: Object.fromEntries(namedWires(module)),
    modules: module.modules.map(moduleMessage),
  };
}

function lmMessage({ params, ...settings }: LmSettings): MessageInitShape<typeof LmSettingsSchema> {
  return { ...settings, ...(params && { params: params as JsonObject }) };
}
