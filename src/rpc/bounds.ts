import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { maxCharacters as c, maxElements as e } from "../domain/bounds.ts";
import { createViolations, type Violations } from "../domain/violations.ts";

/**
 * The bound of each text in a request, by the name of its field, or by "Message.field" if a message
 * has its own. "domain" stands for texts that the domain bounds itself, by the same table, with the
 * reason of its noun. A text without an entry does not start: see test/rpc/bounds.test.ts.
 */
const texts: Readonly<Record<string, number | "domain">> = {
  id: c.id,
  program_id: c.id,
  request_id: c.id,
  signature_id: c.id,
  dspy_program_id: c.id,
  handle: "domain",
  etag: c.etag,
  name: c.name,
  "Program.name": "domain",
  "Signature.name": c.signatureName,
  description: "domain",
  "FieldViolation.description": c.errorMessage,
  instructions: "domain",
  text: c.signatureText,
  type: "domain",
  "Module.type": c.name,
  pattern: "domain",
  labels: "domain",
  model: c.model,
  adapter: c.name,
  optimizer: c.name,
  field: c.name,
  tools: c.name,
  module: c.name,
  input_from: c.name,
  lms: c.name,
  filter: "domain",
  order_by: "domain",
  group_by: "domain",
  distinct_on: "domain",
  page_token: c.pageToken,
  resume_token: c.resumeToken,
  paths: c.maskPath,
  error_message: "domain",
  error_reason: c.name,
  reason: c.name,
  finish_reason: c.name,
  compiled_state: c.compiledState,
  raw_answer: c.compiledState,
  // Of grpc.health.v1 and grpc.reflection.v1.
  service: c.maskPath,
  host: c.maskPath,
  file_by_filename: c.maskPath,
  file_containing_symbol: c.maskPath,
  containing_type: c.maskPath,
  all_extension_numbers_of_type: c.maskPath,
  list_services: c.maskPath,
};

/** The maximum number of elements of a list or map of messages, by its field's name. */
const lists: Readonly<Record<string, number>> = { items: e.items, dataset: e.items, valset: e.items };

export type FieldBounds = {
  /** Of a text, in UTF-16 units. */
  readonly maxCharacters: number;
  /** Of a list or a map. */
  readonly maxElements: number;
};

const known = new WeakMap<DescField, FieldBounds>();

/** The bounds of a field. Throws if the table has no entry for a text. */
export function fieldBounds(field: DescField): FieldBounds {
  const found = known.get(field);
  if (found) return found;
  const { name } = field;
  const bound = texts[`${field.parent.name}.${name}`] ?? texts[name];
  const isOurs = field.parent.typeName.startsWith("sigrun.v1.");
  if (bound === undefined && isText(field) && isOurs)
    throw new Error(`rpc/bounds.ts has no bound for ${field}`);
  const bounds = {
    maxCharacters: typeof bound === "number" ? bound : Number.POSITIVE_INFINITY,
    maxElements: lists[name] ?? e.others,
  };
  known.set(field, bounds);
  return bounds;
}

/** Refuses a request whose texts or lists are beyond their bounds. */
export function checkBounds(type: DescMessage, message: Message): void {
  if (!isWithin(type, message)) {
    const v = createViolations();
    addFaults(type, message, v);
    v.throwIfAny("REQUEST_INVALID");
  }
}

/** Paths are made only for a request that has a fault. */
function isWithin(type: DescMessage, message: Message): boolean {
  for (const { field, bounds, inner } of plan(type)) {
    const value = heldValue(message, field);
    if (value === undefined) continue;
    const fits = (part: Part) =>
      typeof part === "string" ? part.length <= bounds.maxCharacters : !inner || isWithin(inner, part);
    if (typeof value === "string" || field.fieldKind === "message") {
      if (!fits(value as Part)) return false;
    } else {
      if (sizeOf(value, field) > bounds.maxElements) return false;
      for (const [, part] of partsOf(field, value, bounds)) if (!fits(part)) return false;
    }
  }
  return true;
}

function addFaults(type: DescMessage, message: Message, v: Violations): void {
  for (const { field, bounds, inner } of plan(type)) {
    const value = heldValue(message, field);
    if (value === undefined || v.isFull) continue;
    const tooLong = `must have at most ${bounds.maxCharacters} characters`;
    if (sizeOf(value, field) > bounds.maxElements)
      v.add(field.name, `must have at most ${bounds.maxElements} elements`, "length");
    else if (typeof value === "string") {
      if (value.length > bounds.maxCharacters) v.add(field.name, tooLong, "length");
    } else
      for (const [key, part] of partsOf(field, value, bounds)) {
        const place = key === undefined ? v.at(field.name) : v.at(field.name, key);
        if (typeof part !== "string") inner && addFaults(inner, part, place);
        else if (part.length > bounds.maxCharacters) place.addHere(tooLong, "length");
      }
  }
}

type Plan = readonly { field: DescField; bounds: FieldBounds; inner: DescMessage | undefined }[];
const plans = new WeakMap<DescMessage, Plan>();

/** The fields of a message that need a check. */
function plan(type: DescMessage): Plan {
  const made = plans.get(type);
  if (made) return made;
  const fields = type.fields
    .filter(
      (field) => isText(field) || field.fieldKind === "list" || field.fieldKind === "map" || innerOf(field),
    )
    .map((field) => ({ field, bounds: fieldBounds(field), inner: innerOf(field) }));
  plans.set(type, fields);
  return fields;
}

/** Structs are JSON already, whose values maxValues bounds; a Value is bounded by its message. */
function innerOf(field: DescField): DescMessage | undefined {
  const inner = "message" in field ? field.message : undefined;
  return inner && (!inner.typeName.startsWith("google.protobuf.") || inner.name === "FieldMask")
    ? inner
    : undefined;
}

const isText = (field: DescField) => "scalar" in field && field.scalar === ScalarType.STRING;

function heldValue(message: Message, field: DescField): unknown {
  const held = message as unknown as Record<string, unknown>;
  if (!field.oneof || field.proto.proto3Optional) return held[field.localName];
  const { case: name, value } = held[field.oneof.localName] as { case?: string; value?: unknown };
  return name === field.localName ? value : undefined;
}

function sizeOf(value: unknown, field: DescField): number {
  if (field.fieldKind === "list") return (value as unknown[]).length;
  return field.fieldKind === "map" ? Object.keys(value as object).length : 0;
}

type Part = string | Message;

function* partsOf(
  field: DescField,
  value: unknown,
  { maxCharacters, maxElements }: FieldBounds,
): Iterable<[key: string | number | undefined, part: Part]> {
  if (field.fieldKind === "message") yield [undefined, value as Message];
  else if (field.fieldKind === "list")
    for (const [index, part] of (value as Part[]).slice(0, maxElements).entries()) yield [index, part];
  else if (field.fieldKind === "map" && maxCharacters !== Number.POSITIVE_INFINITY)
    for (const [key, part] of Object.entries(value as Record<string, Part>)) {
      yield [key, key];
      yield [key, part];
    }
}
