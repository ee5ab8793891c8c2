import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { Invalid } from "../../domain/faults.ts";
import { pathTo, pathUnder } from "../../domain/violations.ts";
import { fieldBounds } from "../bounds.ts";

/** Reads a large message's JSON. protobuf-es never sees its Structs, which need no conversion. */
export function readLargeJson(type: DescMessage, json: JsonValue): Message {
  const structs: JsonObject[] = [];
  const message = fromJson(type, withoutStructs(type, json, structs, ""));
  putBack(type, message as never, structs);
  return message;
}

/** A copy in which each Struct is `{"": its index in structs}`. Refuses lists that are too long. */
function withoutStructs(type: DescMessage, json: JsonValue, structs: JsonObject[], path: string): JsonValue {
  if (!isObject(json) || type.typeName.startsWith("google.protobuf.")) return json;
  const members = Object.entries(json).map(([name, value]): [string, JsonValue] => {
    const field = type.fields.find((one) => one.jsonName === name || one.name === name);
    if (!field) return [name, value];
    const own = pathUnder(path, field.name);
    checkSize(field, value, own);
    const inner = "message" in field ? field.message : undefined;
    if (!inner) return [name, value];
    const cut = (part: JsonValue, at: string) => cutStruct(inner, part, structs, at);
    if (field.fieldKind === "list" && Array.isArray(value))
      return [name, value.map((part, index) => cut(part, pathTo(own, index)))];
    if (field.fieldKind === "map" && isObject(value))
      return [name, Object.fromEntries(Object.entries(value).map(([key, part]) => [key, cut(part, own)]))];
    return [name, field.fieldKind === "message" ? cut(value, own) : value];
  });
  return Object.fromEntries(members);
}

function cutStruct(type: DescMessage, json: JsonValue, structs: JsonObject[], path: string): JsonValue {
  if (type.typeName !== "google.protobuf.Struct") return withoutStructs(type, json, structs, path);
  return isObject(json) ? { "": structs.push(json) - 1 } : json;
}

function checkSize(field: DescField, value: JsonValue, path: string): void {
  const size = field.fieldKind === "list" && Array.isArray(value) ? value.length : 0;
  const { maxElements } = fieldBounds(field);
  const entries = field.fieldKind === "map" && isObject(value) ? Object.keys(value).length : size;
  if (entries > maxElements)
    throw Invalid.at("REQUEST_INVALID", path, `must have at most ${maxElements} elements`, "length");
}

function putBack(type: DescMessage, message: Record<string, unknown>, structs: readonly JsonObject[]): void {
  for (const field of type.fields) {
    const inner = "message" in field ? field.message : undefined;
    if (!inner || (inner.typeName.startsWith("google.protobuf.") && !isStruct(inner))) continue;
    const restored = (part: unknown): unknown => {
      if (isStruct(inner)) return structs[(part as { "": number })[""]];
      putBack(inner, part as Record<string, unknown>, structs);
      return part;
    };
    const holder = holderOf(message, field);
    if (!holder || holder.value === undefined) continue;
    if (field.fieldKind === "list") holder.value = (holder.value as unknown[]).map(restored);
    else if (field.fieldKind === "map") {
      const entries = Object.entries(holder.value as object);
      holder.value = Object.fromEntries(entries.map(([key, part]) => [key, restored(part)]));
    } else holder.value = restored(holder.value);
  }
}

/** Where a message holds a field's value; undefined if its oneof has another field. */
function holderOf(message: Record<string, unknown>, field: DescField): { value: unknown } | undefined {
  if (field.oneof && !field.proto.proto3Optional) {
    const held = message[field.oneof.localName] as { case?: string; value: unknown };
    return held.case === field.localName ? held : undefined;
  }
  return {
    get value() {
      return message[field.localName];
    },
    set value(value) {
      message[field.localName] = value;
    },
  };
}

const isStruct = ({ typeName }: DescMessage) => typeName === "google.protobuf.Struct";

const isObject = (json: JsonValue): json is JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json);
