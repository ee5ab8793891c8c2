import type { JsonObject } from "@bufbuild/protobuf";
import anyTest, { type TestFn } from "ava";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";

type Context = { gateway: Gateway; model: ScriptedModel };
const test = anyTest.serial as TestFn<Context>;
const file = shared(anyTest);

test.before(async (t) => {
  t.context = await startScripted(file);
});

/** The program's signature, the inputs, and the lines that stock DSPy shows of them. */
const prompts: [title: string, text: string, inputs: JsonObject, shown: string[], hidden?: string][] = [
  ["a whole float", "x: float -> answer", { x: 3 }, ["[[ ## x ## ]]\n3.0\n"]],
  ["a float of 1e16", "x: float -> answer", { x: 1e16 }, ["[[ ## x ## ]]\n1e+16\n"]],
  ["a float of -0", "x: float -> answer", { x: -0 }, ["[[ ## x ## ]]\n-0.0\n"]],
  ["a list of floats", "x: list[float] -> answer", { x: [1, 2.5, -0] }, ["[1.0, 2.5, -0.0]"]],
  ["a dict of floats", "x: dict[str, float] -> answer", { x: { a: 1 } }, ['{"a": 1.0}']],
  ["an integer of -0", "x: int -> answer", { x: -0 }, ["[[ ## x ## ]]\n0\n"]],
  [
    "an optional input that is left out",
    "q, o: Optional[str] -> answer",
    { q: "a" },
    ["q ##"],
    "[[ ## o ## ]]\n",
  ],
  ["an optional input that is null", "q, o: Optional[str] -> answer", { q: "a", o: null }, ["o ## ]]\nNone"]],
];

for (const [title, text, inputs, shown, hidden] of prompts)
  test(`the model sees ${title} as stock DSPy shows it`, async (t) => {
    const { gateway, model } = t.context;
    model.script({ fields: { answer: "here" } });
    const { program } = await gateway.programs.createProgram({
      program: { name: title, signature: { text } },
    });
    await gateway.programs.executeProgram({ programId: program?.id ?? "", inputs });
    const content = String(model.requests.at(-1)?.messages.at(-1)?.content);
    for (const part of shown) t.true(content.includes(part), content);
    if (hidden) t.false(content.includes(hidden), content);
  });

for (const type of ["Predict", "ChainOfThought", "BestOfN", "MultiChainComparison"])
  test(`a ${type} runs without inputs`, async (t) => {
    const { gateway, model } = t.context;
    model.script({ fields: { reasoning: "known", rationale: "known", joke: "here" } });
    const { program } = await gateway.programs.createProgram({
      program: { name: `joke ${type}`, signature: { text: "-> joke" }, modules: [{ type }] },
    });
    const { outputs } = await gateway.programs.executeProgram({ programId: program?.id ?? "", inputs: {} });
    t.deepEqual(outputs, { joke: "here" });
  });

test("a default value of a float is shown as a float", async (t) => {
  const { gateway, model } = t.context;
  model.script({ fields: { answer: "here" } });
  const defaultValue = { kind: { case: "numberValue", value: 3 } as const };
  const x = { name: "x", type: "float", defaultValue };
  const { program } = await gateway.programs.createProgram({
    program: { name: "default", signature: { inputs: [x], outputs: [{ name: "answer" }] } },
  });
  await gateway.programs.executeProgram({ programId: program?.id ?? "", inputs: {} });
  t.regex(String(model.requests.at(-1)?.messages.at(-1)?.content), /\[\[ ## x ## \]\]\n3\.0\n/);
});

test("an input that is left out stays left out on the record", async (t) => {
  const { gateway, model } = t.context;
  model.script({ fields: { answer: "here" } });
  const signature = { text: "q, o: Optional[str] -> answer, p: Optional[str]" };
  const { program } = await gateway.programs.createProgram({ program: { name: "left out", signature } });
  const { execution: run } = await gateway.programs.executeProgram({
    programId: program?.id ?? "",
    inputs: { q: "a" },
  });
  const { execution } = await gateway.executions.getExecution({ id: run?.id ?? "" });
  t.deepEqual([execution?.inputs, execution?.outputs], [{ q: "a" }, { answer: "here", p: null }]);
});
