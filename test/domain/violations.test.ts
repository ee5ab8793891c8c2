import test from "ava";
import { Invalid } from "../../src/domain/faults.ts";
import { createViolations, maxViolations } from "../../src/domain/violations.ts";
import { refused } from "./_refused.ts";

test("each violation has the path of its value from the root of the request", (t) => {
  const v = createViolations("program");
  v.at("modules", 2).add("name", "is wrong", "pattern");
  v.at("scores").add("a b", "is wrong", "type");
  v.at("tools").add(0, "is wrong", "unknown");
  v.at("lm").addHere("is wrong", "type");
  v.addHere("is wrong", "type");
  t.deepEqual(
    v.list().map(({ field }) => field),
    ["program.modules[2].name", 'program.scores["a b"]', "program.tools[0]", "program.lm", "program"],
  );
});

test("two violations at one path become one that says both", (t) => {
  const v = createViolations();
  v.add("name", "is too long", "length");
  v.add("name", "holds a NUL character", "text");
  v.add("name", "is too long", "length");
  t.deepEqual(v.list(), [
    { field: "name", description: "is too long; holds a NUL character", reason: "length" },
  ]);
});

test("no violation is made beyond the maximum, whichever collector of the root adds it", (t) => {
  const v = createViolations();
  for (let index = 0; index < 10 * maxViolations; index++) v.at("values").add(index, "is wrong", "type");
  t.true(v.isFull);
  v.at("others").take([{ field: "a", description: "is wrong", reason: "type" }]);
  t.is(v.count, maxViolations);
  t.is(v.list().length, maxViolations);
});

test("a refusal inside a part becomes violations of that part", async (t) => {
  const v = createViolations();
  const refuse = (field: string): string => {
    throw Invalid.at("SIGNATURE_INVALID", field, "is wrong", "type");
  };
  t.is(
    v.at("signature").try(() => refuse("inputs[0]")),
    undefined,
  );
  t.is(await v.at("later").try(async () => refuse("[1]")), undefined);
  t.is(
    v.try(() => 7),
    7,
  );
  t.is(await v.try(async () => 7), 7);
  t.deepEqual(
    refused(t, () => v.throwIfAny("PROGRAM_INVALID")),
    ["later[1]: type", "signature.inputs[0]: type"],
  );
});

test("rethrows other errors, and throws nothing without violations", async (t) => {
  const v = createViolations();
  const fail = () => {
    throw new TypeError("broken");
  };
  t.throws(() => v.try(fail), { instanceOf: TypeError });
  await t.throwsAsync(
    v.try(async () => fail()),
    { instanceOf: TypeError },
  );
  t.notThrows(() => v.throwIfAny("REQUEST_INVALID"));
});
