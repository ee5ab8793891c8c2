import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Metric } from "../domain/optimization/optimization.ts";
import type { Definition, LmSettings, Module } from "../domain/program/program.ts";
import { derivedName } from "../domain/signature/define.ts";
import type { Field, Signature } from "../domain/signature/signature.ts";
import type { Type } from "../domain/signature/type.ts";
import {
  type FieldSchema,
  type LmSettingsSchema,
  type MetricSchema,
  type ModuleSchema,
  type ProgramSchema,
  Scalar,
  type SignatureSchema,
  type TypeSchema,
} from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import { bytesOf } from "./values.ts";

/** A program as a message to the sidecar. */
export function programMessage(id: string, definition: Definition): MessageInitShape<typeof ProgramSchema> {
  return {
    id,
    signature: signatureMessage(definition.signature),
    modules: definition.modules.map(moduleMessage),
    lm: lmMessage(definition.lm),
    compiledState: definition.compiledState,
    outputs: [...definition.outputs],
  };
}

/** Settings of a model as a message to the sidecar. */
export function lmMessage({ params, ...settings }: LmSettings): MessageInitShape<typeof LmSettingsSchema> {
  return { ...settings, params: jsonBytes(params) };
}

/** Settings of models by role as messages to the sidecar. */
export const lmMessages = (lms: Readonly<Record<string, LmSettings>>) =>
  Object.fromEntries(Object.entries(lms).map(([role, lm]) => [role, lmMessage(lm)]));

/** A metric as a message to the sidecar. */
export function metricMessage({ params, ...metric }: Metric): MessageInitShape<typeof MetricSchema> {
  return { ...metric, params: jsonBytes(params) };
}

function moduleMessage(module: Module): MessageInitShape<typeof ModuleSchema> {
  return {
    name: module.name,
    type: module.type,
    signature: signatureMessage(module.signature),
    params: jsonBytes(module.params),
    lm: lmMessage(module.lm),
    wires: [...module.wires],
    modules: module.modules.map(moduleMessage),
    tools: [...(module.tools ?? [])],
    lms: lmMessages(module.lms ?? {}),
  };
}

function signatureMessage(signature: Signature): MessageInitShape<typeof SignatureSchema> {
  return {
    name: signature.name,
    isUnnamed: signature.name === derivedName(signature),
    instructions: signature.instructions,
    inputs: signature.inputs.map(fieldMessage),
    outputs: signature.outputs.map(fieldMessage),
  };
}

function fieldMessage({ name, type, description, constraints }: Field): MessageInitShape<typeof FieldSchema> {
  const { other, ...checked } = constraints;
  return { name, type: typeMessage(type), description, constraints: { ...checked, other: jsonBytes(other) } };
}

const scalars = { str: Scalar.STR, int: Scalar.INT, float: Scalar.FLOAT, bool: Scalar.BOOL } as const;

function typeMessage(type: Type): MessageInitShape<typeof TypeSchema> {
  switch (type.kind) {
    case "literal":
      return { kind: { case: "literal", value: { values: [...type.values] } } };
    case "list":
      return { kind: { case: "list", value: { element: typeMessage(type.element) } } };
    case "dict":
      return { kind: { case: "dict", value: { key: scalars[type.key], value: typeMessage(type.value) } } };
    case "optional":
      return { kind: { case: "optional", value: { of: typeMessage(type.of) } } };
    default:
      return { kind: { case: "scalar", value: scalars[type.kind] } };
  }
}

/** JSON bytes; none for an empty object. */
function jsonBytes(value: object | undefined): Uint8Array {
  return value === undefined || Object.keys(value).length === 0 ? new Uint8Array() : bytesOf(value);
}
