import test from "ava";
import fc from "fast-check";
import { defineSignature } from "../../../src/domain/signature/define.ts";
import { takenNames } from "../../../src/domain/signature/fields.ts";
import {
  type FieldDraft,
  type SignatureDraft,
  signatureHash,
} from "../../../src/domain/signature/signature.ts";
import { formatSignatureText } from "../../../src/domain/signature/text.ts";
import { refused } from "../_refused.ts";

const field = (name: string, rest: Partial<FieldDraft> = {}): FieldDraft => ({
  name,
  type: "",
  description: "",
  constraints: {},
  ...rest,
});
const draft = (rest: Partial<SignatureDraft>): SignatureDraft => ({
  name: "",
  instructions: "",
  text: "",
  inputs: [],
  outputs: [],
  ...rest,
});
const define = (rest: Partial<SignatureDraft>) => defineSignature(draft(rest), "signature");
/** A signature with one input, which is under test. */
const withInput = (rest: Partial<FieldDraft>, name = "question") =>
  draft({ inputs: [field(name, rest)], outputs: [field("answer")] });
const faultsOf = (t: Parameters<typeof refused>[0], rest: Partial<FieldDraft>, name?: string) =>
  refused(t, () => defineSignature(withInput(rest, name), "signature"));

test("a signature may have no inputs", (t) => {
  const signature = define({ text: "-> joke" });
  t.deepEqual([signature.inputs, signature.outputs.map(({ name }) => name)], [[], ["joke"]]);
  t.is(formatSignatureText(signature), "-> joke: str");
  t.notThrows(() => define({ outputs: [field("joke")] }));
});

test("a text is read as DSPy reads it, and written back the same", (t) => {
  const signature = define({
    text: "question, context -> answer, confidence: float, sources: list[str], mood: Literal['a, b', '->']",
  });
  t.is(
    formatSignatureText(signature),
    'question, context -> answer: str, confidence: float, sources: list[str], mood: Literal["a, b", "->"]',
  );
  t.is(signatureHash(define({ text: formatSignatureText(signature) })), signatureHash(signature));
});

test("derives a signature's name from its fields and its hash", (t) => {
  const { name } = define({ text: "user_question -> answer" });
  t.regex(name, /^UserQuestionToAnswer_[0-9a-f]{6}$/);
  t.not(define({ text: "user_question -> answer", instructions: "Be brief." }).name, name);
  t.is(define({ text: "user_question -> answer: str" }).name, name);
});

test("two signatures of the same content have the same hash under any name", (t) => {
  const text = "question -> answer";
  t.is(signatureHash(define({ name: "One", text })), signatureHash(define({ name: "Other", text })));
  t.not(signatureHash(define({ text })), signatureHash(define({ text: "question -> answer: int" })));
});

const texts: [text: string, fault: string][] = [
  ["question", "signature.text: text"],
  ["a -> b -> c", "signature.text: text"],
  ["->", "signature.outputs: missing"],
  ["question ->", "signature.outputs: missing"],
  ["question -> answer: strr", "signature.text: type"],
  ["question,, x -> answer", "signature.text: missing"],
  ["config -> answer", "signature.text: reserved"],
  ["question -> question", "signature.text: duplicate"],
];
for (const [text, fault] of texts)
  test(`the text ${JSON.stringify(text)} is refused`, (t) =>
    t.deepEqual([...new Set(refused(t, () => define({ text })))], [fault]));

test("refuses a text that differs from the fields, and a signature without either", (t) => {
  t.notThrows(() => define({ text: "a -> b: str", inputs: [field("a")], outputs: [field("b")] }));
  t.deepEqual(
    refused(t, () => define({ text: "a -> c", inputs: [field("a")], outputs: [field("b")] })),
    ["signature.text: conflict"],
  );
  t.deepEqual(
    refused(t, () => define({})),
    ["signature.outputs: missing"],
  );
});

for (const name of ["", "1st", "_x", "a-b", "é", "a".repeat(64), "__proto__"])
  test(`a field can't be called ${JSON.stringify(name)}`, (t) =>
    t.deepEqual(faultsOf(t, {}, name), [`signature.inputs[0].name: ${name === "" ? "missing" : "pattern"}`]));

for (const name of [...takenNames, "dspy_version", "dspy_", "class", "lambda", "None"])
  test(`a field can't be called ${name}, which DSPy, pydantic or Python takes`, (t) =>
    t.deepEqual(faultsOf(t, {}, name), ["signature.inputs[0].name: reserved"]));

test("names are unique over inputs and outputs, also as protobuf writes them in JSON", (t) => {
  for (const other of ["fooBar", "foo_bar", "foo__bar", "fooBar_"])
    t.deepEqual(
      refused(t, () => define({ inputs: [field("foo_bar")], outputs: [field(other)] })),
      ["signature.outputs[0].name: duplicate"],
    );
  t.notThrows(() => define({ inputs: [field("foobar")], outputs: [field("foo_bar")] }));
});

const constraints: [rest: Partial<FieldDraft>, faults: string[]][] = [
  [{ type: "int", constraints: { minLength: 1 } }, ["constraints.min_length: constraint"]],
  [
    { type: "str", constraints: { min: 1, lt: 3 } },
    ["constraints.lt: constraint", "constraints.min: constraint"],
  ],
  [{ type: "bool", constraints: { pattern: "x" } }, ["constraints.pattern: constraint"]],
  [{ constraints: { pattern: "(?=x)" } }, ["constraints.pattern: constraint"]],
  [{ constraints: { pattern: "(" } }, ["constraints.pattern: constraint"]],
  [{ constraints: { pattern: "x".repeat(1001) } }, ["constraints.pattern: constraint"]],
  [{ constraints: { pattern: "(?:a|aa|aaa|aaaa){1,500}" } }, ["constraints.pattern: constraint"]],
  [{ constraints: { minLength: 3, maxLength: 2 } }, ["constraints.min_length: constraint"]],
  [{ type: "int", constraints: { min: 3, max: 2 } }, ["constraints.min: constraint"]],
  [{ type: "float", constraints: { gt: 2, lt: 2 } }, ["constraints.gt: constraint"]],
  [{ type: "float", constraints: { max: Number.NaN } }, ["constraints.max: constraint"]],
  [
    { type: "int", constraints: { other: { api_base: "http://x" } } },
    ["constraints.other.api_base: constraint"],
  ],
  [
    { type: "int", constraints: { other: { multiple_of: "5" } } },
    ["constraints.other.multiple_of: constraint"],
  ],
  [{ type: "int", defaultValue: "x" }, ["default_value: type"]],
  [{ type: "list[int]", defaultValue: [1, "x"] }, ["default_value[1]: type"]],
  [{ type: "dict[str, int]", defaultValue: { a: "x" } }, ["default_value.a: type"]],
  [{ type: "int", constraints: { min: 5 }, defaultValue: 1 }, ["default_value: range"]],
  [{ defaultValue: null }, ["default_value: type"]],
  [{ defaultValue: "\0" }, ["default_value: text"]],
  [{ description: "lone \ud800" }, ["description: text"]],
  [{ description: "x".repeat(10_001) }, ["description: length"]],
  [{ type: "in\0t" }, ["type: type"]],
];
for (const [rest, faults] of constraints)
  test(`a field with ${JSON.stringify(rest).slice(0, 90)} is refused`, (t) =>
    t.deepEqual(
      faultsOf(t, rest),
      faults.map((fault) => `signature.inputs[0].${fault}`),
    ));

test("keeps every constraint of the API", (t) => {
  const given = { minLength: 1, maxLength: 9, pattern: "[a-z]+" };
  t.deepEqual(defineSignature(withInput({ constraints: given }), "signature").inputs[0]?.constraints, given);
  const bounds = { min: 1, max: 9, gt: 0, lt: 10, other: { multiple_of: 2 } };
  t.deepEqual(
    defineSignature(withInput({ type: "float", constraints: bounds }), "signature").inputs[0]?.constraints,
    bounds,
  );
});

test("refuses the default of an output", (t) => {
  const made = () => define({ inputs: [field("a")], outputs: [field("b", { defaultValue: "x" })] });
  t.deepEqual(refused(t, made), ["signature.outputs[0].default_value: unknown"]);
});

test("reports all violations at once", (t) => {
  const made = () =>
    define({
      name: "not a class",
      inputs: [field("a-b"), field("c", { type: "nope" })],
      outputs: [field("self")],
    });
  t.deepEqual(refused(t, made), [
    "signature.inputs[0].name: pattern",
    "signature.inputs[1].type: type",
    "signature.name: pattern",
    "signature.outputs[0].name: reserved",
  ]);
});

test("reads any text as a signature or refuses it with a path", (t) => {
  const part = fc.constantFrom(
    "a",
    "b",
    "c_d",
    "self",
    ":",
    ": int",
    ": list[str]",
    "[",
    "]",
    ",",
    ", ",
    "'",
    "\\",
    "\0",
  );
  const anything = fc.array(part, { maxLength: 5 }).map((parts) => parts.join(""));
  // Of the other kind too few are signatures for any to be among 3,000 each time.
  const fields = fc
    .subarray(["a", "b: int", "c_d: list[str]", "e: bool"], { minLength: 1 })
    .map((some) => some.join(", "));
  const side = fc.oneof(anything, fields);
  let read = 0;
  fc.assert(
    fc.property(fc.array(side, { minLength: 1, maxLength: 3 }), (sides) => {
      try {
        const signature = define({ text: sides.join(" -> ") });
        t.is(signatureHash(define({ text: formatSignatureText(signature) })), signatureHash(signature));
        read += 1;
      } catch (error) {
        if (!(error as { violations?: unknown[] }).violations?.length) throw error;
      }
    }),
    { numRuns: 3_000 },
  );
  t.log(`${read} of 3,000 texts are signatures`);
  t.true(read > 0);
});
