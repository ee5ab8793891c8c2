import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";

/** Random numbers, the same for the same seed. */
export function createRandom(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    below: (limit: number) => Math.floor(next() * limit),
    chance: (share: number) => next() < share,
    pick: <T>(values: readonly T[]): T => values[Math.floor(next() * values.length)] as T,
  };
}
export type Random = ReturnType<typeof createRandom>;

/** Values that callers send by mistake or on purpose, and the known ones. */
export function createHostility(random: Random, known: readonly string[]) {
  const texts = [
    ...known,
    ...[
      "",
      " ",
      "x",
      "question",
      "answer",
      "question -> answer",
      "a: list[dict[str, Literal['x']]] -> b",
      "Predict",
      "ChainOfThought",
      "BestOfN",
    ],
    ...[
      "00000000-0000-0000-0000-000000000000",
      "openai/scripted",
      "openai/other",
      "embedded/smollm2",
      'program_id = "x"',
      "-1",
      "NaN",
    ],
    ...[
      "__proto__",
      "constructor",
      "toString",
      "hasOwnProperty",
      "config",
      "self",
      "\0",
      "a\0b",
      "\ud800",
      "x\udfffy",
      "😀".repeat(50),
    ],
    ...[
      "'; DROP TABLE executions; --",
      "#{jndi:ldap://x}",
      "../../etc/passwd",
      "%00",
      "{{7*7}}",
      "a".repeat(300),
      "\u202e",
      "(".repeat(200),
      "(a+)+$",
    ],
  ];
  const numbers = [
    0,
    1,
    -1,
    0.5,
    2 ** 31 - 1,
    -(2 ** 31),
    2 ** 53,
    1e308,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];
  const text = () => random.pick(texts);

  function json(depth: number): unknown {
    switch (depth === 0 ? random.below(4) : random.below(7)) {
      case 0:
        return text();
      case 1:
        return random.pick([0, 1, -1, 0.5, 1e308, 2 ** 53, -0]);
      case 2:
        return random.chance(0.5);
      case 3:
        return null;
      case 4:
        return Array.from({ length: random.below(4) }, () => json(depth - 1));
      case 5: {
        const members = Array.from({ length: random.below(4) }, () => [text(), json(depth - 1)] as const);
        return JSON.parse(
          `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`,
        );
      }
      default:
        return nested(random.pick([5, 31, 32, 33, 60, 90]));
    }
  }
  function nested(depth: number): unknown {
    let value: unknown = "deep";
    for (let level = 0; level < depth; level++) value = random.chance(0.5) ? [value] : { k: value };
    return value;
  }
  return { text, json, number: () => random.pick(numbers) };
}
export type Hostility = ReturnType<typeof createHostility>;

const wellKnown = (message: DescMessage) => message.typeName.startsWith("google.protobuf.");

/** A message of this type with random hostile values in its fields. */
export function hostileMessage(type: DescMessage, random: Random, hostility: Hostility, depth = 4): Message {
  const message = create(type) as Message & Record<string, unknown>;
  const oneofs = new Set<string>();
  for (const field of type.fields) {
    if (!random.chance(0.6)) continue;
    const value = fieldValue(field, random, hostility, depth);
    if (value === undefined) continue;
    if (field.oneof && !field.proto.proto3Optional) {
      if (oneofs.has(field.oneof.localName)) continue;
      oneofs.add(field.oneof.localName);
      message[field.oneof.localName] = { case: field.localName, value };
    } else message[field.localName] = value;
  }
  return message;
}

function fieldValue(field: DescField, random: Random, hostility: Hostility, depth: number): unknown {
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar, random, hostility);
    case "enum":
      return random.pick([0, 1, 2, 5, 99]);
    case "message":
      return messageOf(field.message, random, hostility, depth);
    case "list":
      return Array.from({ length: random.below(4) }, () =>
        field.listKind === "message"
          ? messageOf(field.message, random, hostility, depth)
          : field.listKind === "scalar"
            ? scalar(field.scalar, random, hostility)
            : 1,
      ).filter((value) => value !== undefined);
    case "map": {
      const entries = Array.from({ length: random.below(4) }, () => {
        const value =
          field.mapKind === "message" ? messageOf(field.message, random, hostility, depth) : hostility.text();
        return [hostility.text(), value] as const;
      });
      return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
    }
  }
}

function messageOf(type: DescMessage, random: Random, hostility: Hostility, depth: number): unknown {
  if (depth === 0) return undefined;
  switch (type.typeName) {
    case "google.protobuf.Struct":
      return { [hostility.text()]: hostility.json(3), question: hostility.json(2) };
    case "google.protobuf.FieldMask":
      return { $typeName: type.typeName, paths: [hostility.text(), "name"].slice(random.below(2)) };
    case "google.protobuf.Duration":
    case "google.protobuf.Timestamp": {
      const seconds = random.pick([0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]);
      return create(type, { seconds, nanos: random.pick([0, 1, -1, 2 ** 31 - 1]) } as never);
    }
    case "google.protobuf.Value":
      return create(type, { kind: { case: "stringValue", value: hostility.text() } } as never);
  }
  return wellKnown(type) ? undefined : hostileMessage(type, random, hostility, depth - 1);
}

function scalar(type: ScalarType, random: Random, hostility: Hostility): unknown {
  switch (type) {
    case ScalarType.STRING:
      return hostility.text();
    case ScalarType.BOOL:
      return random.chance(0.5);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return hostility.number();
    case ScalarType.INT64:
      return random.pick([0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]);
    case ScalarType.UINT32:
      return random.pick([0, 1, 2, 2 ** 32 - 1]);
    case ScalarType.INT32:
      return random.pick([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]);
    default:
      return undefined;
  }
}
