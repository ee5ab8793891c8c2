import fc, { type Arbitrary } from "fast-check";
import type { Json } from "../src/domain/json.ts";
import { compilePattern } from "../src/domain/signature/pattern.ts";
import type { Constraints, Field } from "../src/domain/signature/signature.ts";
import type { Type } from "../src/domain/signature/type.ts";

/** A value as a caller or a model could send it. Some are no JSON: NaN, Infinity, -0. */
export type Loose = Json;

const texts = [
  ...[
    "",
    " ",
    "a",
    "A",
    "abc",
    "Ünï",
    "😀",
    "a\nb",
    "None",
    "null",
    "true",
    "FALSE",
    "yes",
    "0",
    "-0",
    " 42 ",
  ],
  ...["+7", "007", "4.5", "4.0", "1e3", ".5", "5.", "1e999", "0x10", "1_000", "12abc", "NaN", "Infinity"],
  ...[
    "\ufeff1",
    "\u00851",
    "\u001c1",
    "\u30001",
    "١",
    "9007199254740991",
    "-9007199254740992",
    "\0",
    "\ud800",
  ],
  ...[
    "\udc00\ud83d",
    "__proto__",
    "constructor",
    "a b",
    "1",
    "0.5",
    `${"9".repeat(400)}`,
    `${"0".repeat(50)}1`,
  ],
];
const numbers = [
  ...[0, -0, 1, -7, 4.5, 42.0, 0.1, 1e-5, 1e-6, 1.5e-6, 1e-7, 1.25e-9, 5e-324, 123456.789, -0.000123, 1e15],
  ...[
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 53),
    2 ** 60,
    1e21,
    1.5e300,
    Number.MAX_VALUE,
    2 ** 53 - 1.5,
    999999999999999.9,
  ],
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
];
const text = fc.oneof(fc.constantFrom(...texts), fc.string({ unit: "binary", maxLength: 6 }));
const number = fc.oneof(fc.constantFrom(...numbers), fc.double(), fc.integer());
const scalar = fc.oneof(text, number, fc.boolean(), fc.constant(null));
const key = fc.oneof(
  fc.constantFrom(
    "k",
    "a b",
    "7",
    "07",
    "-1",
    "-0",
    "",
    "9007199254740993",
    "__proto__",
    "\0",
    "\ud800",
    "+1",
  ),
  fc.constant(`${"x".repeat(99)}😀`),
  text,
);
const anything: Arbitrary<Loose> = fc.letrec<{ value: Loose }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    scalar,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(fc.tuple(key, tie("value")), { maxLength: 3 }).map(object),
  ),
})).value;

/** Object.fromEntries keeps "__proto__" as an own key. */
function object(entries: readonly (readonly [string, Loose])[]): Loose {
  return Object.fromEntries(entries);
}

export const anyType: Arbitrary<Type> = fc.letrec<{ type: Type }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom<Type[]>({ kind: "str" }, { kind: "int" }, { kind: "float" }, { kind: "bool" }),
    fc
      .uniqueArray(
        fc.constantFrom("a", "1", "true", "0.5", "None", "it's", 'say "hi"', "é\n", "9007199254740992"),
        {
          minLength: 1,
          maxLength: 4,
        },
      )
      .map((values): Type => ({ kind: "literal", values })),
    tie("type").map((element): Type => ({ kind: "list", element })),
    fc.record({ kind: fc.constant("dict" as const), key: fc.constantFrom("str", "int"), value: tie("type") }),
    tie("type").map((of): Type => (of.kind === "optional" ? of : { kind: "optional", of })),
  ),
})).type;

/** Mostly values that the type takes, some that it nearly takes, and some that it never takes. */
export function valueFor(type: Type): Arbitrary<Loose> {
  return fc.oneof({ weight: 40, arbitrary: near(type) }, { weight: 1, arbitrary: anything });
}

function near(type: Type): Arbitrary<Loose> {
  switch (type.kind) {
    case "str":
      return mostly(fc.oneof(fc.string({ unit: "grapheme", maxLength: 6 }), fc.integer(), fc.boolean()));
    case "int":
      return mostly(fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.integer().map(String)));
    case "float":
      return mostly(
        fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.float({ noNaN: true }).map(String)),
      );
    case "bool":
      return mostly(fc.oneof(fc.boolean(), fc.constantFrom("True", "false", "FALſE", "1", " true")));
    case "literal":
      return mostly(fc.constantFrom<Loose[]>(...type.values, ...type.values, 1, 0.5, true));
    case "optional":
      return fc.oneof(
        { weight: 1, arbitrary: fc.constant(null) },
        { weight: 3, arbitrary: valueFor(type.of) },
      );
    case "list":
      return fc.array(valueFor(type.element), { maxLength: 4 });
    case "dict": {
      const keys = type.key === "int" ? fc.oneof(fc.integer().map(String), key) : key;
      return fc.array(fc.tuple(keys, valueFor(type.value)), { maxLength: 4 }).map(object);
    }
  }
}

/** One value of a kind out of ten is one of the odd scalars above. */
function mostly(fitting: Arbitrary<Loose>): Arbitrary<Loose> {
  return fc.oneof({ weight: 9, arbitrary: fitting }, { weight: 1, arbitrary: scalar });
}

const atoms = [
  ...[
    "a",
    "b",
    "1",
    "é",
    "😀",
    ".",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\pL",
    "\\PN",
    "\\p{Greek}",
    "[^a]",
  ],
  ...[
    "[a-c1]",
    "[[:alpha:]]",
    "[[:^digit:]]",
    "(?i:É)",
    "(?s:.)",
    "\\b",
    "\\B",
    "^",
    "$",
    "\\A",
    "\\z",
    "\\x{1F600}",
  ],
  ...[
    "\\n",
    "\\Qa.b\\E",
    "(?P<n>a)",
    "(?m:^b$)",
    "[\\d\\s]",
    "[\\pL-]",
    "\\.",
    "(?U:a+)",
    "\\x41",
    "\\0",
    "(?i)k",
  ],
];
export const anyPattern: Arbitrary<string> = fc
  .letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      fc.constantFrom(...atoms),
      fc.array(tie("pattern"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
      fc.tuple(tie("pattern"), tie("pattern")).map(([one, other]) => `(?:${one}|${other})`),
      fc
        .tuple(
          tie("pattern"),
          fc.constantFrom("*", "+", "?", "{0}", "{2}", "{1,3}", "{2,}", "*?", "+?", "??"),
        )
        .map(([one, times]) => `(${one})${times}`),
    ),
  }))
  .pattern.filter((pattern) => compilePattern(pattern) !== undefined);

function constraintsFor(type: Type): Arbitrary<Constraints> {
  const { kind } = type.kind === "optional" ? type.of : type;
  const limit = fc.nat({ max: 4 });
  const bound = fc.oneof(
    fc.constantFrom(0, 1, -7, 4.5, 42, 1e-7, 1e21, 2 ** 60),
    fc.integer({ min: -9, max: 9 }),
  );
  const lengths = { minLength: limit, maxLength: limit };
  const made: Arbitrary<Constraints> =
    kind === "int" || kind === "float"
      ? fc.record({ min: bound, max: bound, gt: bound, lt: bound }, { requiredKeys: [] })
      : kind === "str"
        ? fc.record({ ...lengths, pattern: anyPattern }, { requiredKeys: [] })
        : kind === "list" || kind === "dict"
          ? fc.record(lengths, { requiredKeys: [] })
          : fc.constant({});
  return fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: made });
}

const names = ["answer", "n", "constructor", "tags"];

/** Outputs of a signature, and values of them. */
export const typedValues: Arbitrary<{ fields: Field[]; values: Record<string, Loose> }> = fc
  .array(
    anyType.chain((type) => fc.record({ type: fc.constant(type), constraints: constraintsFor(type) })),
    { minLength: 1, maxLength: 3 },
  )
  .chain((made) => {
    const fields = made.map((field, at): Field => ({ name: names[at] as string, description: "", ...field }));
    const present = fields.map(({ name, type }) =>
      fc.option(valueFor(type), { nil: undefined, freq: 20 }).map((value) => [name, value] as const),
    );
    const unknown = fc.oneof(
      { weight: 19, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.tuple(fc.constantFrom("other", "toString", "\0", "a b"), anything) },
    );
    return fc.tuple(fc.constant(fields), fc.tuple(...present), unknown);
  })
  .map(([fields, present, unknown]) => ({
    fields,
    values: Object.fromEntries(
      [...present, ...(unknown ? [unknown] : [])].filter(
        (entry): entry is readonly [string, Loose] => entry[1] !== undefined,
      ),
    ),
  }));

/** JSON, in which numbers that JSON does not have are words that Python reads. */
export function looseJson(value: Loose): string {
  if (typeof value === "number")
    return Object.is(value, -0) ? "-0.0" : Number.isFinite(value) ? String(value) : `${value}`;
  if (Array.isArray(value)) return `[${value.map(looseJson).join(",")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([name, part]) => `${JSON.stringify(name)}:${looseJson(part)}`)
      .join(",")}}`;
  return JSON.stringify(value);
}
