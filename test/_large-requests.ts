import type { DescField, DescMessage, DescMethod, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { services } from "../src/rpc/router.ts";

/** A request of nearly 4 MiB, as JSON. */
export type LargeRequest = { readonly name: string; readonly method: DescMethod; readonly json: JsonObject };

const methods = services.flatMap((service): DescMethod[] => [...service.methods]);
const bytes = 4_190_000;

/** The program "large" has the inputs of these shapes, each with a default. */
export const largeProgram = {
  name: "Large",
  handle: "large",
  signature: {
    inputs: [
      { name: "ints", type: "list[int]" },
      { name: "texts", type: "list[str]" },
      { name: "lists", type: "list[list[int]]" },
      { name: "dicts", type: "list[dict[str, int]]" },
      { name: "scores", type: "dict[str, int]" },
      { name: "text", type: "str", constraints: { maxLength: 5_000_000 } },
    ].map((field) => ({ ...field, type: `Optional[${field.type}]` })),
    outputs: [{ name: "answer" }],
  },
};

const list = (count: number, one: (index: number) => JsonValue) =>
  Array.from({ length: count }, (_, i) => one(i));
const members = (count: number, value: JsonValue) =>
  Object.fromEntries(list(count, (index) => [`k${index}`, value] as never) as never) as JsonObject;
const nested = (depth: number): JsonValue => (depth === 0 ? 1 : [nested(depth - 1)]);

/** Inputs of many values, some valid and some not. */
const shapes: Record<string, () => JsonObject> = {
  "300,000 unknown inputs": () => members(300_000, 1),
  "5,000 unknown inputs": () => members(5_000, "x".repeat(800)),
  "300,000 wrong members": () => ({ scores: members(300_000, "x") }),
  "5,000 wrong members": () => ({ scores: members(5_000, "x".repeat(800)) }),
  "5,000 members": () => ({ scores: members(5_000, 1) }),
  "a million numbers": () => ({ ints: list(1_000_000, (n) => n % 10) }),
  "300,000 wrong numbers": () => ({ ints: list(300_000, () => "wrong") }),
  "100,000 numbers": () => ({ ints: list(100_000, (n) => n % 10) }),
  "100,000 texts": () => ({ texts: list(100_000, () => "x".repeat(38)) }),
  "49,000 lists": () => ({ lists: list(49_000, () => [1]) }),
  "a million empty lists": () => ({ lists: list(1_000_000, () => []) }),
  "9 objects of 5,000 members": () => ({ dicts: list(9, () => members(5_000, 1)) }),
  "24,000 small objects": () => ({ dicts: list(24_000, (n) => ({ [`k${n}`]: 1 })) }),
  "2,000 nests of 24 levels": () => ({ lists: list(2_000, () => nested(24)) }),
  "a nest of 90 levels": () => ({ lists: nested(90) }),
  "a text of 4 MB": () => ({ text: "a".repeat(bytes) }),
  "a text of emoji": () => ({ text: "😀".repeat(bytes / 5) }),
};

const method = (name: string) => methods.find((one) => one.name === name) as DescMethod;
const example = (n: number): JsonObject => ({ inputs: { text: `t${n}` }, outputs: { answer: "x" } });

/** Every shape in the requests that take values, and long lists of parts. */
export function* largeRequests(): Iterable<LargeRequest> {
  for (const [name, make] of Object.entries(shapes)) {
    const inputs = make();
    yield { name, method: method("ExecuteProgram"), json: { programId: "large", inputs } };
    yield { name, method: method("ValidateInputs"), json: { programId: "large", values: inputs } };
    const dataset = [{ inputs }, { inputs: { text: "x" } }];
    yield { name, method: method("OptimizeProgram"), json: { programId: "large", dataset } };
  }
  const requestId = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
  const repeated = { programId: "large", inputs: { ints: list(100_000, (n) => n % 10) }, requestId };
  yield { name: "a request_id", method: method("ExecuteProgram"), json: repeated };
  for (const count of [9_000, 60_000]) {
    const dataset = list(count, example);
    const name = `${count} examples`;
    yield { name, method: method("OptimizeProgram"), json: { programId: "large", dataset } };
    const items = list(count, (n) => ({ inputs: { unknown: n } }));
    yield {
      name: `${count} items`,
      method: method("BatchExecuteProgram"),
      json: { programId: "large", items },
    };
  }
  const modules = list(100_000, () => ({ type: "Predict" }));
  yield {
    name: "100,000 modules",
    method: method("CreateProgram"),
    json: { program: { ...named, modules } },
  };
  yield {
    name: "300,000 labels",
    method: method("CreateProgram"),
    json: { program: { ...named, labels: members(300_000, "x") } },
  };
  const inputs = list(100_000, (n) => ({ name: `f${n}` }));
  yield {
    name: "100,000 fields",
    method: method("CreateSignature"),
    json: { signature: { inputs, outputs: [] } },
  };
  const filter = `${"(".repeat(2_000_000)}a = 1`;
  yield { name: "parentheses", method: method("ListExecutions"), json: { filter } };
  yield* longTexts();
}

const named = { name: "Other", signature: { text: "question -> answer" } };

/** A text of 4 MB in each text of each request, and many short ones in each list of texts. */
function* longTexts(): Iterable<LargeRequest> {
  for (const one of methods) {
    for (const [path, json] of textsOf(one.input, 4)) yield { name: `a long ${path}`, method: one, json };
  }
}

function* textsOf(type: DescMessage, depth: number): Iterable<[path: string, json: JsonObject]> {
  if (depth === 0 || type.typeName.startsWith("google.protobuf.")) return;
  for (const field of type.fields) {
    if (isText(field)) for (const value of textValues(field)) yield [field.name, { [field.jsonName]: value }];
    const inner = "message" in field ? field.message : undefined;
    if (!inner || field.fieldKind === "map") continue;
    for (const [path, json] of textsOf(inner, depth - 1))
      yield [`${field.name}.${path}`, { [field.jsonName]: field.fieldKind === "list" ? [json] : json }];
  }
}

const isText = (field: DescField) => "scalar" in field && field.scalar === 9;

function textValues({ fieldKind }: DescField): JsonValue[] {
  const long = "a".repeat(bytes);
  if (fieldKind === "list") return [[long], list(400_000, () => "ab")];
  return fieldKind === "map"
    ? [{ k: long }, { [long]: "x" }, members(200_000, "x")]
    : [long, "😀".repeat(bytes / 5)];
}
