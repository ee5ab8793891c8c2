import { randomUUID } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import { labelViolations } from "../../src/domain/labels.ts";
import { checkHandle, deriveHandle } from "../../src/domain/program/handle.ts";

const derived: [name: string, handle: string][] = [
  ["Complex QA Program", "complex-qa-program"],
  ["Résumé (v2)!", "re-sume-v2"],
  ["2nd try", "nd-try"],
  ["日本語", "program"],
  ["x", "program-x"],
];
for (const [name, handle] of derived)
  test(`the handle of ${JSON.stringify(name)} is ${handle}`, (t) => t.is(deriveHandle(name), handle));

test("whatever the name, its handle is one", (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (name) =>
      t.deepEqual(checkHandle(deriveHandle(name), "handle"), []),
    ),
  );
  t.deepEqual(checkHandle(deriveHandle(`a${randomUUID().slice(1)}`), "handle"), []);
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
  test(`${JSON.stringify(handle)} is no handle`, (t) =>
    t.is(checkHandle(handle, "program.handle").length, 1));

test("labels are few and short, each fault with its key", (t) => {
  t.deepEqual(labelViolations({ team: "search", "a.b-c_d": "" }, "labels"), []);
  const faults = labelViolations(
    { "1x": "", team: "x".repeat(257), "a b": "", nul: "\0", ["__proto__"]: "" },
    "labels",
  );
  t.deepEqual(faults.map(({ field, reason }) => `${field} ${reason}`).sort(), [
    "labels.nul text",
    "labels.team length",
    'labels["1x"] pattern',
    'labels["__proto__"] pattern',
    'labels["a b"] pattern',
  ]);
  t.is(
    labelViolations(Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ""])), "labels")[0]
      ?.reason,
    "length",
  );
});
