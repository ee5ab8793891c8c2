import { type DescField, type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { Invalid } from "../../domain/faults.ts";
import { pathUnder } from "../../domain/violations.ts";
import { type FieldBounds, fieldBounds } from "../bounds.ts";
import { readStruct } from "./struct-reader.ts";
import { createValueCount, type ValueCount } from "./value-count.ts";
import { WireError, WireReader, wire } from "./wire-reader.ts";

/** protobuf-es has the same maximum. */
const maxDepth = 100;
/** Fields of one message on the wire, each of which may be sent again and again. */
const maxFields = 200_000;

/**
 * Reads a large message. Its Structs are read by struct-reader.ts, the rest by protobuf-es. Refuses
 * too many values and elements while it reads.
 */
export function readLargeBinary(type: DescMessage, bytes: Uint8Array): Message {
  let outermost = "request";
  const count = createValueCount(() => outermost);
  return messageOf(type, new WireReader(bytes), count, "", (field) => {
    outermost = field;
  });
}

function messageOf(
  type: DescMessage,
  reader: WireReader,
  count: ValueCount,
  path: string,
  enter: (field: string) => void,
  depth = 0,
): Message {
  if (depth > maxDepth) throw new WireError(`messages nest more than ${maxDepth} levels deep`);
  const own: Uint8Array[] = [];
  const parts: [field: DescField, part: unknown, key?: string][] = [];
  const counts = new Map<number, number>();
  let ownFrom = reader.at;
  let fields = 0;
  while (reader.at < reader.end) {
    const start = reader.at;
    const tag = reader.tag();
    const field = fieldsByNumber(type).get(tag >>> 3);
    if (++fields > maxFields)
      throw Invalid.at("REQUEST_INVALID", path || "request", `has more than ${maxFields} fields`, "length");
    if (field && (field.fieldKind === "list" || field.fieldKind === "map"))
      countElement(fieldBounds(field), counts, field, pathUnder(path, field.name));
    const inner = field && messageIn(field);
    if (!inner || (tag & 7) !== wire.length) {
      reader.skip(tag & 7);
      continue;
    }
    if (start > ownFrom) own.push(reader.bytes.subarray(ownFrom, start));
    if (depth === 0) enter(field.name);
    const end = reader.endOfPart();
    const part = new WireReader(reader.bytes, reader.at, end);
    const partPath = pathUnder(path, field.name);
    if (field.fieldKind === "map") {
      const [key, value] = entryOf(inner, part, count, partPath, enter, depth);
      parts.push([field, value, key]);
    } else parts.push([field, partOf(inner, part, count, partPath, enter, depth)]);
    reader.at = end;
    ownFrom = end;
  }
  if (reader.at > ownFrom) own.push(reader.bytes.subarray(ownFrom, reader.at));
  const message = fromBinary(type, own.length === 1 ? (own[0] as Uint8Array) : Buffer.concat(own));
  for (const [field, part, key] of parts) setPart(message as never, field, part, key);
  return message;
}

function partOf(
  type: DescMessage,
  reader: WireReader,
  count: ValueCount,
  path: string,
  enter: (field: string) => void,
  depth: number,
): unknown {
  return type.typeName === "google.protobuf.Struct"
    ? readStruct(reader.bytes, reader.at, reader.end, count)
    : messageOf(type, reader, count, path, enter, depth + 1);
}

function entryOf(
  type: DescMessage,
  reader: WireReader,
  count: ValueCount,
  path: string,
  enter: (field: string) => void,
  depth: number,
): [key: string, value: unknown] {
  let key = "";
  let value: unknown = fromBinary(type, new Uint8Array());
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag >>> 3 > 2 || (tag & 7) !== wire.length) {
      reader.skipUnknown(tag, 2);
      continue;
    }
    const end = reader.endOfPart();
    if (tag >>> 3 === 1) key = Buffer.from(reader.bytes.subarray(reader.at, end)).toString();
    else value = partOf(type, new WireReader(reader.bytes, reader.at, end), count, path, enter, depth);
    reader.at = end;
  }
  return [key, value];
}

/** The type of a field's messages, if this file reads them. Those of google.protobuf are small. */
function messageIn(field: DescField): DescMessage | undefined {
  if (!("message" in field) || !field.message) return undefined;
  const { typeName } = field.message;
  return typeName.startsWith("google.protobuf.") && typeName !== "google.protobuf.Struct"
    ? undefined
    : field.message;
}

function countElement(
  { maxElements }: FieldBounds,
  counts: Map<number, number>,
  field: DescField,
  path: string,
): void {
  const counted = (counts.get(field.number) ?? 0) + 1;
  counts.set(field.number, counted);
  if (counted > maxElements)
    throw Invalid.at("REQUEST_INVALID", path, `must have at most ${maxElements} elements`, "length");
}

function setPart(
  message: Record<string, unknown>,
  field: DescField,
  part: unknown,
  key: string | undefined,
): void {
  if (field.fieldKind === "map")
    Object.defineProperty(message[field.localName], key as string, {
      value: part,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  else if (field.fieldKind === "list") (message[field.localName] as unknown[]).push(part);
  else if (field.oneof && !field.proto.proto3Optional)
    message[field.oneof.localName] = { case: field.localName, value: part };
  else message[field.localName] = part;
}

const byNumber = new WeakMap<DescMessage, Map<number, DescField>>();

function fieldsByNumber(type: DescMessage): Map<number, DescField> {
  const known = byNumber.get(type) ?? new Map(type.fields.map((field) => [field.number, field]));
  byNumber.set(type, known);
  return known;
}
