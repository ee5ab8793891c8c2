import test from "ava";
import type { Values } from "../../../src/domain/execution.ts";
import { readExamples } from "../../../src/domain/optimization/examples.ts";
import type { Metric } from "../../../src/domain/optimization/optimization.ts";
import { defineSignature } from "../../../src/domain/signature/define.ts";
import { compileSchema } from "../../../src/domain/signature/schema.ts";
import { createViolations, type Violations } from "../../../src/domain/violations.ts";

const text = "question -> answer, score: float";
const signature = defineSignature({ name: "", instructions: "", text, inputs: [], outputs: [] }, "");
const schemas = {
  inputs: compileSchema(signature.inputs),
  outputs: compileSchema(signature.outputs),
};
const metric = (name: string, field = ""): Metric => ({ name, field, params: {}, weight: 1 });
const pause = async () => {};
async function found(check: (v: Violations) => Promise<unknown>): Promise<string[]> {
  const v = createViolations();
  await check(v);
  return v.list().map(({ field, reason }) => `${field}: ${reason}`);
}
const faults = (outputs: Values, ...metrics: Metric[]) =>
  found((v) =>
    readExamples(
      [{ inputs: { question: "?" }, outputs }],
      signature,
      schemas,
      metrics,
      v.at("dataset"),
      pause,
    ),
  );

test("an example must have each output that a metric compares", async (t) => {
  t.deepEqual(await faults({}, metric("exact_match")), [
    "dataset[0].outputs.answer: missing",
    "dataset[0].outputs.score: missing",
  ]);
  t.deepEqual(await faults({ score: 1 }, metric("contains", "answer")), [
    "dataset[0].outputs.answer: missing",
  ]);
  t.deepEqual(await faults({ answer: "a" }, metric("numeric", "score")), [
    "dataset[0].outputs.score: missing",
  ]);
  t.deepEqual(await faults({ answer: "a", score: 1 }, metric("exact_match")), []);
});

test("an example needs no output that only a judge scores", async (t) => {
  t.deepEqual(await faults({}, metric("judge", "answer")), []);
  t.deepEqual(await faults({}, metric("judge")), []);
});

test("an example's outputs must be of the signature, and of their types", async (t) => {
  t.deepEqual(await faults({ answer: "a", score: "high", kind: "x" }, metric("judge")), [
    "dataset[0].outputs.score: type",
    "dataset[0].outputs.kind: unknown",
  ]);
});

test("reports 100 violations of a dataset in which every example is wrong", async (t) => {
  const examples = Array.from({ length: 10_000 }, () => ({ inputs: {}, outputs: {} }));
  const all = await found((v) => readExamples(examples, signature, schemas, [], v.at("dataset"), pause));
  t.is(all.length, 100);
});
