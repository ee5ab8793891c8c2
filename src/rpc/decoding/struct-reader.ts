import type { Json } from "../../domain/json.ts";
import type { ValueCount } from "./value-count.ts";
import { WireError, WireReader, wire } from "./wire-reader.ts";

/** protobuf-es has the same maximum. The checks of values refuse less, with a path. */
const maxDepth = 100;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type JsonObject = { [key: string]: Json };

/**
 * Reads a google.protobuf.Struct. protobuf-es makes a message of each value first, which takes ten
 * times as long.
 */
export function readStruct(bytes: Uint8Array, at: number, end: number, count: ValueCount): JsonObject {
  return structOf(new WireReader(bytes, at, end), count, 0);
}

function structOf(reader: WireReader, count: ValueCount, depth: number): JsonObject {
  if (depth > maxDepth) throw new WireError(`values nest more than ${maxDepth} levels deep`);
  count.part();
  const members: [string, Json][] = [];
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === tagOf(1)) {
      count.member(members.length + 1);
      members.push(memberOf(reader, count, depth));
    } else reader.skipUnknown(tag, 1);
  }
  // fromEntries keeps a key "__proto__", which an assignment would lose.
  return Object.fromEntries(members);
}

function memberOf(outer: WireReader, count: ValueCount, depth: number): [string, Json] {
  const end = outer.endOfPart();
  const reader = new WireReader(outer.bytes, outer.at, end);
  let key = "";
  let value: Json = null;
  while (reader.at < end) {
    const tag = reader.tag();
    if (tag === tagOf(1)) key = textOf(reader);
    else if (tag === tagOf(2)) value = readValue(reader, count, depth);
    else reader.skipUnknown(tag, 2);
  }
  outer.at = end;
  return [key, value];
}

function readValue(outer: WireReader, count: ValueCount, depth: number): Json {
  const end = outer.endOfPart();
  const reader = new WireReader(outer.bytes, outer.at, end);
  let value: Json = null;
  while (reader.at < end) {
    const tag = reader.tag();
    switch (tag) {
      case tagOf(1, wire.varint):
        reader.skip(wire.varint);
        value = null;
        break;
      case tagOf(2, wire.bits64):
        value = doubleOf(reader);
        break;
      case tagOf(3):
        value = textOf(reader);
        break;
      case tagOf(4, wire.varint):
        value = reader.varint() !== 0;
        break;
      case tagOf(5): {
        const inner = reader.endOfPart();
        value = structOf(new WireReader(reader.bytes, reader.at, inner), count, depth + 1);
        reader.at = inner;
        break;
      }
      case tagOf(6): {
        const inner = reader.endOfPart();
        value = listOf(new WireReader(reader.bytes, reader.at, inner), count, depth + 1);
        reader.at = inner;
        break;
      }
      default:
        reader.skipUnknown(tag, 6);
    }
  }
  outer.at = end;
  return value;
}

function listOf(reader: WireReader, count: ValueCount, depth: number): Json[] {
  if (depth > maxDepth) throw new WireError(`values nest more than ${maxDepth} levels deep`);
  count.part();
  const elements: Json[] = [];
  while (reader.at < reader.end) {
    const tag = reader.tag();
    if (tag === tagOf(1)) {
      count.element();
      elements.push(readValue(reader, count, depth));
    } else reader.skipUnknown(tag, 1);
  }
  return elements;
}

function tagOf(field: number, wireType: number = wire.length): number {
  return (field << 3) | wireType;
}

function textOf(reader: WireReader): string {
  const end = reader.endOfPart();
  const text =
    shortText(reader.bytes, reader.at, end) ?? decoder.decode(reader.bytes.subarray(reader.at, end));
  reader.at = end;
  return text;
}

/** TextDecoder takes a microsecond for a call. */
function shortText(bytes: Uint8Array, at: number, end: number): string | undefined {
  if (end - at > 24) return undefined;
  let text = "";
  for (let index = at; index < end; index++) {
    const byte = bytes[index] as number;
    if (byte >= 0x80) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

const eight = new DataView(new ArrayBuffer(8));

function doubleOf(reader: WireReader): number {
  if (reader.end - reader.at < 8) throw new WireError("a number does not end");
  for (let index = 0; index < 8; index++) eight.setUint8(index, reader.bytes[reader.at++] as number);
  return eight.getFloat64(0, true);
}
