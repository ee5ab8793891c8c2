import { randomUUID } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import { checkLabels, type Labels } from "../../src/domain/labels.ts";
import { checkHandle, deriveHandle } from "../../src/domain/program/handle.ts";
import { found } from "./_refused.ts";

const faultsOf = (handle: string) => found((v) => checkHandle(handle, v.at("program", "handle")));

const derived: [name: string, handle: string][] = [
  ["Complex QA Program", "complex-qa-program"],
  ["Résumé (v2)!", "re-sume-v2"],
  ["2nd try", "nd-try"],
  ["日本語", "program"],
  ["x", "program-x"],
];
for (const [name, handle] of derived)
  test(`the handle of ${JSON.stringify(name)} is ${handle}`, (t) => t.is(deriveHandle(name), handle));

test("derives a valid handle from any name", (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (name) => t.deepEqual(faultsOf(deriveHandle(name)), [])),
  );
  t.deepEqual(faultsOf(deriveHandle(`a${randomUUID().slice(1)}`)), []);
});

for (const handle of [
  "",
  "a",
  "A-b",
  "1ab",
  "ab-",
  "a_b",
  "a".repeat(64),
  "abcdefab-abcd-abcd-abcd-abcdefabcdef",
])
  test(`refuses ${JSON.stringify(handle)} as a handle`, (t) =>
    t.deepEqual(faultsOf(handle), ["program.handle: pattern"]));

test("checks the number, keys and lengths of labels", (t) => {
  const faults = (labels: Labels) => found((v) => checkLabels(labels, v.at("labels")));
  t.deepEqual(faults({ team: "search", "a.b-c_d": "" }), []);
  t.deepEqual(faults({ "1x": "", team: "x".repeat(257), "a b": "", nul: "\0", ["__proto__"]: "" }).sort(), [
    "labels.nul: text",
    "labels.team: length",
    'labels["1x"]: pattern',
    'labels["__proto__"]: pattern',
    'labels["a b"]: pattern',
  ]);
  t.deepEqual(faults(Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ""]))), [
    "labels: length",
  ]);
});
