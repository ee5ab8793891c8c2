import { inspect } from "node:util";
import test from "ava";
import fc from "fast-check";
import type { Json } from "../../../src/domain/json.ts";
import { compileSchema } from "../../../src/domain/signature/schema.ts";
import type { Constraints, Field } from "../../../src/domain/signature/signature.ts";
import { parseType } from "../../../src/domain/signature/type.ts";

const refused = Symbol("refused");

const fieldOf = (type: string, constraints: Constraints = {}): Field => ({
  name: "x",
  type: parseType(type),
  description: "",
  constraints,
});

/** What a value comes to as a field of that type. */
function come(type: string, value: unknown, constraints?: Constraints): Json | typeof refused | undefined {
  const checked = compileSchema([fieldOf(type, constraints)]).validate(
    value === undefined ? {} : { x: value as Json },
  );
  return checked.ok ? checked.values.x : refused;
}

/** Where, and for what reason, a value is refused. */
function faults(type: string, value: unknown, constraints?: Constraints): string[] {
  const checked = compileSchema([fieldOf(type, constraints)]).validate({ x: value as Json });
  return checked.ok ? [] : checked.violations.map(({ field, reason }) => `${field}: ${reason}`);
}

const choice = 'Literal["a", "1", "true", "0.5"]';
// Every cell of docs/values.md, row by row.
const table: [type: string, value: unknown, comesTo: Json | typeof refused][] = [
  ["str", "hello", "hello"],
  ["str", "", ""],
  ["str", "nul \0", refused],
  ["str", "lone \ud800", refused],
  ["str", "😀", "😀"],
  ["str", 123, "123"],
  ["str", 0.1, "0.1"],
  ["str", 1e-7, "1e-7"],
  ["str", 2 ** 53 - 1, "9007199254740991"],
  ["str", 2 ** 53, refused],
  ["str", -(2 ** 53), refused],
  ["str", 1e21, refused],
  ["str", -0, "0"],
  ["str", Number.NaN, refused],
  ["str", Number.POSITIVE_INFINITY, refused],
  ["str", true, "true"],
  ["str", false, "false"],
  ["str", null, refused],
  ["str", ["a"], refused],
  ["str", { a: 1 }, refused],

  ["int", " 42 ", 42],
  ["int", "-7", -7],
  ["int", "+7", 7],
  ["int", "007", 7],
  ["int", "", refused],
  ["int", " ", refused],
  ["int", "4.5", refused],
  ["int", "4.0", refused],
  ["int", "1e3", refused],
  ["int", "0x10", refused],
  ["int", "12abc", refused],
  ["int", "9007199254740993", refused],
  ["int", 42, 42],
  ["int", 42.0, 42],
  ["int", 4.5, refused],
  ["int", 2 ** 53, refused],
  ["int", 2 ** 53 - 1, 2 ** 53 - 1],
  ["int", true, refused],
  ["int", null, refused],
  ["int", [5], refused],
  ["int", {}, refused],

  ["float", "0.5", 0.5],
  ["float", " -1.5e-3 ", -0.0015],
  ["float", ".5", 0.5],
  ["float", "5.", 5],
  ["float", "7", 7],
  ["float", "NaN", refused],
  ["float", "Infinity", refused],
  ["float", "1e999", refused],
  ["float", "", refused],
  ["float", "0x10", refused],
  ["float", 0.1, 0.1],
  ["float", Number.NaN, refused],
  ["float", Number.NEGATIVE_INFINITY, refused],
  ["float", false, refused],
  ["float", null, refused],
  ["float", [1], refused],
  ["float", {}, refused],

  ["bool", "true", true],
  ["bool", "FALSE", false],
  ["bool", "yes", refused],
  ["bool", "1", refused],
  ["bool", " true", refused],
  ["bool", "", refused],
  ["bool", 1, refused],
  ["bool", 0, refused],
  ["bool", true, true],
  ["bool", null, refused],
  ["bool", [], refused],
  ["bool", {}, refused],

  [choice, "a", "a"],
  [choice, "A", refused],
  [choice, " a", refused],
  [choice, 1, "1"],
  [choice, 0.5, "0.5"],
  [choice, 2, refused],
  ['Literal["9007199254740992"]', 2 ** 53, refused],
  ['Literal["9007199254740992"]', "9007199254740992", "9007199254740992"],
  [choice, true, "true"],
  [choice, false, refused],
  [choice, null, refused],
  [choice, ["a"], refused],
  [choice, {}, refused],

  ["list[int]", "[1]", refused],
  ["list[int]", 1, refused],
  ["list[int]", true, refused],
  ["list[int]", null, refused],
  ["list[int]", [], []],
  ["list[int]", ["1", 2], [1, 2]],
  ["list[int]", ["x"], refused],
  ["list[int]", { 0: 1 }, refused],

  ["dict[str, int]", "{}", refused],
  ["dict[str, int]", 1, refused],
  ["dict[str, int]", true, refused],
  ["dict[str, int]", null, refused],
  ["dict[str, int]", [], refused],
  ["dict[str, int]", {}, {}],
  ["dict[str, int]", { a: "1" }, { a: 1 }],
  ["dict[str, int]", { a: "x" }, refused],
  ["dict[int, str]", { 7: "x", "-1": "y" }, { 7: "x", "-1": "y" }],
  ["dict[int, str]", { "07": "x" }, refused],
  ["dict[int, str]", { 1: "x", "01": "y" }, refused],
  ["dict[str, str]", { a: 2 ** 53 }, refused],
  ["dict[int, str]", { "": "x" }, refused],

  ["Optional[int]", " 42 ", 42],
  ["Optional[int]", 42, 42],
  ["Optional[int]", true, refused],
  ["Optional[int]", null, null],
  ["Optional[int]", undefined, null],
  ["Optional[int]", [], refused],
  ["Optional[str]", "null", "null"],
  ["Optional[list[int]]", ["1"], [1]],
  ["list[Optional[int]]", [null, "1"], [null, 1]],
  ["list[Optional[float]]", [Number.NaN], refused],
  ["list[str]", [1, 2 ** 53], refused],
];
for (const type of new Set(table.map(([type]) => type)))
  test(`what ${type} takes, and from what`, (t) => {
    for (const [, value, comesTo] of table.filter(([of]) => of === type))
      t.deepEqual(come(type, value), comesTo, inspect(value));
  });

test("reports all violations at once, each with its path", (t) => {
  const fields = ["a: int", "b: list[str]", "c: dict[str, list[int]]", "d: str"].map((text) => {
    const [name = "", type = ""] = text.split(": ");
    return { ...fieldOf(type), name };
  });
  const values = { a: "x", b: ["ok", null, {}], c: { k: [1, "y"], "a b": 3 }, e: 1 } as never;
  const checked = compileSchema(fields).validate(values);
  t.false(checked.ok);
  const found = checked.ok ? [] : checked.violations.map(({ field, reason }) => `${field} ${reason}`).sort();
  t.deepEqual(found, [
    "a type",
    "b[1] type",
    "b[2] type",
    "c.k[1] type",
    'c["a b"] type',
    "d missing",
    "e unknown",
  ]);
});

test("does not confuse members of Object with fields or values", (t) => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    const values = JSON.parse(`{"x": "1", "${name}": 1}`);
    const checked = compileSchema([fieldOf("str")]).validate(values);
    t.deepEqual(checked.ok ? [] : checked.violations.map(({ field, reason }) => `${field} ${reason}`), [
      `${name} unknown`,
    ]);
    const bare = compileSchema([{ ...fieldOf("str"), name: "constructor" }]).validate({});
    t.deepEqual(bare.ok ? [] : bare.violations.map(({ reason }) => reason), ["missing"]);
  }
});

test("a dict keeps every key in its order, __proto__ included", (t) => {
  const sent = JSON.parse('{"z": 1, "__proto__": 2, "a": 3, "constructor": 4}');
  const kept = come("dict[str, int]", sent) as object;
  t.deepEqual(Object.entries(kept), Object.entries(sent));
  t.is(Object.getPrototypeOf(kept), Object.prototype);
});

const constrained: [type: string, constraints: Constraints, good: unknown, bad: unknown, reason: string][] = [
  ["str", { minLength: 2 }, "😀😀", "😀", "x: length"],
  ["str", { maxLength: 2 }, "😀😀", "abc", "x: length"],
  ["list[int]", { minLength: 1, maxLength: 2 }, [1], [], "x: length"],
  ["dict[str, int]", { maxLength: 1 }, { a: 1 }, { a: 1, b: 2 }, "x: length"],
  ["int", { min: 1, max: 3 }, "3", 4, "x: range"],
  ["float", { gt: 0, lt: 1 }, 0.5, 1, "x: range"],
  ["Optional[int]", { min: 1 }, null, 0, "x: range"],
  ["str", { pattern: "[a-z]+" }, "abc", "abc1", "x: pattern"],
  ["str", { pattern: "a|b" }, "a", "ab", "x: pattern"],
];
for (const [type, constraints, good, bad, reason] of constrained)
  test(`${type} with ${JSON.stringify(constraints)} takes ${JSON.stringify(good)} and refuses ${JSON.stringify(bad)}`, (t) => {
    t.not(come(type, good, constraints), refused);
    t.deepEqual(faults(type, bad, constraints), [reason]);
  });

test("refuses a text that is too long for its pattern, and does not match it", (t) => {
  const pattern = "(?:a|aa|aaa|aaaa){1,300}b";
  t.is(come("str", "a".repeat(1_000), { pattern }), refused);
  t.deepEqual(faults("str", "a".repeat(4_000_000), { pattern }), ["x: length"]);
  t.is(come("str", "a".repeat(900_000), { pattern: "[a-z]+" }), "a".repeat(900_000));
});

test("matches a pattern in linear time that backtracks in other engines", (t) => {
  t.is(come("str", `${"a".repeat(50_000)}!`, { pattern: "(a+)+b?" }), refused);
});

const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;
const notations = [
  "str",
  "int",
  "float",
  "bool",
  choice,
  "list[str]",
  "dict[str, float]",
  "dict[int, str]",
  "Optional[int]",
  "list[Optional[list[bool]]]",
];

test("validated values pass validation again unchanged", (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...notations), json, (type, value) => {
      const once = come(type, value);
      if (once !== refused) t.deepEqual(come(type, once), once);
    }),
    { numRuns: 2_000 },
  );
});

/** The same number, or the same text without the blanks and signs that mean nothing. */
function meansTheSame(sent: Json, taken: Json): boolean {
  if (Array.isArray(sent))
    return (
      Array.isArray(taken) &&
      sent.length === taken.length &&
      sent.every((part, at) => meansTheSame(part, taken[at] as Json))
    );
  if (typeof sent === "object" && sent !== null)
    return (
      typeof taken === "object" &&
      taken !== null &&
      JSON.stringify(Object.keys(sent)) === JSON.stringify(Object.keys(taken)) &&
      Object.entries(sent).every(([key, part]) =>
        meansTheSame(part, (taken as Record<string, Json>)[key] as Json),
      )
    );
  if (typeof sent === "string" && typeof taken === "number")
    return Number(sent.trim()) === taken && sent.trim() !== "";
  if (typeof sent === "string" && typeof taken === "boolean") return sent.toLowerCase() === String(taken);
  if (typeof sent !== "string" && typeof taken === "string")
    return JSON.stringify(sent) === taken || Object.is(sent, -0);
  return sent === taken;
}

const plain = fc.oneof(
  fc.string(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer().map(String),
  fc.double().map(String),
  fc.boolean(),
  fc.constant(null),
);
const likely: Record<string, fc.Arbitrary<Json>> = {
  str: plain,
  int: fc.oneof(
    fc.integer(),
    fc.maxSafeInteger().map((n) => ` ${n} `),
    plain,
  ),
  float: fc.oneof(
    plain,
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n.toExponential()),
  ),
  bool: fc.oneof(fc.boolean(), fc.constantFrom("true", "False", "TRUE", "0"), plain),
  [choice]: fc.oneof(fc.constantFrom<Json>("a", 1, "1", true, 0.5, "0.50"), plain),
  "list[str]": fc.array(plain) as fc.Arbitrary<Json>,
  "dict[str, float]": fc.dictionary(fc.string(), plain) as fc.Arbitrary<Json>,
  "dict[int, str]": fc.dictionary(fc.integer().map(String), plain) as fc.Arbitrary<Json>,
  "Optional[int]": fc.oneof(plain, fc.integer()),
  "list[Optional[list[bool]]]": fc.array(fc.option(fc.array(fc.boolean()))) as fc.Arbitrary<Json>,
};
for (const [type, values] of Object.entries(likely))
  test(`what a ${type} takes means the same as what was sent`, (t) => {
    fc.assert(
      fc.property(values, (sent) => {
        const taken = come(type, sent);
        if (taken !== refused && taken !== undefined)
          t.true(meansTheSame(sent, taken), JSON.stringify({ sent, taken }));
      }),
      { numRuns: 1_000 },
    );
    t.pass();
  });

test("reports 100 violations of 300,000 wrong keys", (t) => {
  const values = Object.fromEntries(Array.from({ length: 300_000 }, (_, n) => [`k${n}`, "x"]));
  const unknown = compileSchema([fieldOf("str")]).validate({ ...values, x: "" });
  t.is(unknown.ok ? 0 : unknown.violations.length, 100);
  const members = compileSchema([fieldOf("dict[str, int]")]).validate({ x: values });
  t.is(members.ok ? 0 : members.violations.length, 100);
});

test("reports 100 violations of 300,000 wrong elements", (t) => {
  const x = Array.from({ length: 300_000 }, () => "x");
  const checked = compileSchema([fieldOf("list[int]")]).validate({ x });
  t.is(checked.ok ? 0 : checked.violations.length, 100);
});
