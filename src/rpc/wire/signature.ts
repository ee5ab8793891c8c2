import { fromJson, type JsonObject, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Values } from "../../domain/execution.ts";
import type { Json } from "../../domain/json.ts";
import type { Field, Signature, SignatureDraft } from "../../domain/signature/signature.ts";
import { formatSignatureText } from "../../domain/signature/text.ts";
import { formatType } from "../../domain/signature/type.ts";
import type {
  Field as FieldMessage,
  FieldSchema,
  Signature as SignatureMessage,
  SignatureSchema,
} from "../../gen/sigrun/v1/signature_service_pb.ts";
import type { StoredSignature } from "../../store/programs/signatures.ts";

/** The values of a Struct; empty if the message has none. */
export const valuesOf = (struct: JsonObject | undefined): Values => struct ?? {};

export function draftOfSignature({
  name,
  instructions,
  text,
  inputs,
  outputs,
}: SignatureMessage): SignatureDraft {
  return { name, instructions, text, inputs: inputs.map(draftOfField), outputs: outputs.map(draftOfField) };
}

function draftOfField({
  name,
  type,
  description,
  constraints,
  defaultValue,
}: FieldMessage): SignatureDraft["inputs"][number] {
  const { minLength, maxLength, min, max, gt, lt, pattern, other } = constraints ?? {};
  return {
    name,
    type,
    description,
    constraints: {
      ...(minLength !== undefined && { minLength }),
      ...(maxLength !== undefined && { maxLength }),
      ...(min !== undefined && { min }),
      ...(max !== undefined && { max }),
      ...(gt !== undefined && { gt }),
      ...(lt !== undefined && { lt }),
      ...(pattern && { pattern }),
      ...(other && { other }),
    },
    ...(defaultValue && { defaultValue: jsonOf(defaultValue) }),
  };
}

/** Not protobuf-es's toJson(), which throws on NaN: our checks refuse NaN with its path. */
function jsonOf({ kind }: Value): Json {
  switch (kind.case) {
    case "structValue":
      return Object.fromEntries(
        Object.entries(kind.value.fields).map(([key, value]) => [key, jsonOf(value)]),
      );
    case "listValue":
      return kind.value.values.map(jsonOf);
    case "numberValue":
    case "stringValue":
    case "boolValue":
      return kind.value;
    default:
      return null;
  }
}

export function storedSignatureMessage(stored: StoredSignature): MessageInitShape<typeof SignatureSchema> {
  return {
    ...signatureMessage(stored),
    id: stored.id,
    version: stored.version,
    createdAt: timestampFromDate(stored.createdAt),
    updatedAt: timestampFromDate(stored.updatedAt),
  };
}

export function signatureMessage(signature: Signature): MessageInitShape<typeof SignatureSchema> {
  const { name, instructions, inputs, outputs } = signature;
  return {
    name,
    instructions,
    inputs: inputs.map(fieldMessage),
    outputs: outputs.map(fieldMessage),
    text: formatSignatureText(signature),
  };
}

function fieldMessage({
  name,
  type,
  description,
  constraints,
  defaultValue,
}: Field): MessageInitShape<typeof FieldSchema> {
  const { other, ...checked } = constraints;
  const isConstrained = Object.keys(constraints).length > 0;
  return {
    name,
    type: formatType(type),
    description,
    ...(isConstrained && { constraints: { ...checked, ...(other && { other: other as JsonObject }) } }),
    ...(defaultValue !== undefined && { defaultValue: fromJson(ValueSchema, defaultValue as JsonValue) }),
  };
}
