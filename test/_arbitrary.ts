import {
  create,
  type DescField,
  type DescMessage,
  type DescOneof,
  type JsonObject,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import fc, { type Arbitrary } from "fast-check";

const [least64, most64] = [-(2n ** 63n), 2n ** 63n - 1n];
const int64 = fc.oneof(fc.constantFrom(least64, most64, 0n, 1n, -1n, 2n ** 53n), fc.bigInt(least64, most64));
const int32 = fc.oneof(fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, -1), fc.integer({ min: -5, max: 200 }));
const uint32 = fc.oneof(fc.constantFrom(2 ** 32 - 1, 2 ** 31), fc.integer({ min: 0, max: 5 }));
const struct = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), {
  maxKeys: 4,
}) as Arbitrary<JsonObject>;

/** Any message of a type that a client can write, with some texts that the server knows. */
export function arbitraryMessage(type: DescMessage, known: readonly string[], depth = 3): Arbitrary<Message> {
  const members = type.members.map((member): [string, Arbitrary<unknown>] => [
    member.localName,
    member.kind === "oneof" ? arbitraryOneof(member, known, depth) : arbitraryField(member, known, depth),
  ]);
  return fc.record(Object.fromEntries(members), { requiredKeys: [] }).map((parts) => {
    const set = Object.entries(parts).filter(([, value]) => value !== undefined);
    return create(type, Object.fromEntries(set) as never);
  });
}

function arbitraryOneof({ fields }: DescOneof, known: readonly string[], depth: number): Arbitrary<unknown> {
  return fc.oneof(
    ...fields.map((field) =>
      arbitraryField(field, known, depth).map((value) =>
        value === undefined ? undefined : { case: field.localName, value },
      ),
    ),
  );
}

function arbitraryField(field: DescField, known: readonly string[], depth: number): Arbitrary<unknown> {
  const one = arbitraryValue(field, known, depth);
  const isSet = (value: unknown) => value !== undefined;
  if (field.fieldKind === "list")
    return fc.array(one, { maxLength: 3 }).map((values) => values.filter(isSet));
  if (field.fieldKind !== "map") return one;
  const entries = fc.array(fc.tuple(text(known), one), { maxLength: 3 });
  return entries.map((pairs) => Object.fromEntries(pairs.filter(([, value]) => isSet(value))));
}

function arbitraryValue(field: DescField, known: readonly string[], depth: number): Arbitrary<unknown> {
  const inner = "message" in field ? field.message : undefined;
  if (inner?.typeName === "google.protobuf.Struct") return struct;
  if (inner) return depth === 0 ? fc.constant(undefined) : arbitraryMessage(inner, known, depth - 1);
  switch ("scalar" in field ? field.scalar : undefined) {
    case ScalarType.STRING:
      return text(known);
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.double();
    case ScalarType.INT64:
      return int64;
    case ScalarType.INT32:
      return int32;
    case ScalarType.UINT32:
      return uint32;
    default:
      return fc.constantFrom(0, 1, 2, 99);
  }
}

const text = (known: readonly string[]) =>
  fc.oneof(fc.constantFrom(...known), fc.string(), fc.string({ unit: "binary" }), fc.base64String());
