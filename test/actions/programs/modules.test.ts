import { Code } from "@connectrpc/connect";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";

const test = anyTest.serial as TestFn<{ gateway: Gateway; model: ScriptedModel }>;
const file = shared(anyTest);
const inputs = { question: "Where?" };
const bounded = {
  inputs: [{ name: "question" }],
  outputs: [{ name: "answer", constraints: { pattern: "[A-Z][a-z]+" } }],
};
test.before(async (t) => {
  t.context = await startScripted(file);
});
type T = ExecutionContext<{ gateway: Gateway; model: ScriptedModel }>;

async function create({ context }: T, program: object): Promise<string> {
  const made = await context.gateway.programs.createProgram({ program: { name: "Of modules", ...program } });
  return made.program?.id ?? "";
}

/** Runs a program and gives the record. */
async function run({ context }: T, programId: string) {
  const { execution } = await context.gateway.programs.executeProgram({ programId, inputs });
  return (await context.gateway.executions.getExecution({ id: execution?.id ?? "" })).execution;
}

test("a pipeline connects fields by name and by input_from, and records the outputs of each module as a step", async (t) => {
  const programId = await create(t, {
    signature: { text: "question -> answer, reasoning, passages: list[str]" },
    modules: [
      { name: "search", type: "Predict", signature: { text: "question -> passages: list[str]" } },
      {
        name: "draft",
        type: "ChainOfThought",
        signature: { text: "question, passages: list[str] -> draft_answer" },
      },
      {
        name: "polish",
        type: "Predict",
        signature: { text: "text, why -> answer" },
        inputFrom: { text: "draft.draft_answer", why: "draft.reasoning" },
      },
    ],
  });
  t.context.model.script(
    { fields: { passages: ["one", "two"] } },
    { fields: { reasoning: "since", draft_answer: "paris" } },
    { fields: { answer: "Paris" } },
  );
  const record = await run(t, programId);
  t.deepEqual(record?.outputs, { answer: "Paris", reasoning: "since", passages: ["one", "two"] });
  t.deepEqual(
    record?.steps.map(({ module, outputs }) => ({ module, outputs })),
    [
      { module: "search", outputs: { passages: ["one", "two"] } },
      { module: "draft", outputs: { reasoning: "since", draft_answer: "paris" } },
      { module: "polish", outputs: { answer: "Paris" } },
    ],
  );
  t.is(record?.tokenUsage?.lmCalls, 3n);
  t.deepEqual(
    record?.steps.map(({ tokenUsage }) => tokenUsage?.outputTokens),
    [12n, 12n, 12n],
  );
  t.regex(JSON.stringify(t.context.model.requests.at(-1)), /since/);
});

test("a pipeline that fails keeps its steps and tokens so far", async (t) => {
  const programId = await create(t, {
    signature: { text: "question -> answer" },
    modules: [
      { name: "first", type: "Predict", signature: { text: "question -> topic" } },
      { name: "second", type: "Predict", signature: { text: "topic -> answer" } },
    ],
  });
  t.context.model.script({ fields: { topic: "x" } }, { text: "no" });
  const failed = await failure(t, t.context.gateway.programs.executeProgram({ programId, inputs }));
  const { execution } = await t.context.gateway.executions.getExecution({
    id: failed.metadata.execution_id ?? "",
  });
  t.deepEqual(
    execution?.steps.map(({ module, outputs, rawAnswer }) => ({ module, outputs, rawAnswer })),
    [
      { module: "first", outputs: { topic: "x" }, rawAnswer: "" },
      { module: "second", outputs: undefined, rawAnswer: "no" },
    ],
  );
  t.is(execution?.tokenUsage?.lmCalls, 3n);
});

test("BestOfN runs until an answer meets the constraints", async (t) => {
  const programId = await create(t, {
    signature: bounded,
    modules: [{ type: "BestOfN", params: { N: 4 }, modules: [{ type: "ChainOfThought" }] }],
  });
  const answer = (text: string) => ({ fields: { reasoning: `so ${text}`, answer: text } });
  t.context.model.script(answer("paris"), answer("PARIS"), answer("Paris"), answer("Lyon"));
  const record = await run(t, programId);
  t.deepEqual(record?.outputs, { answer: "Paris" });
  t.deepEqual(record?.steps[0]?.outputs, { reasoning: "so Paris", answer: "Paris" });
  t.is(record?.tokenUsage?.lmCalls, 3n);
});

test("Refine passes its advice to the next attempt", async (t) => {
  const programId = await create(t, { signature: bounded, modules: [{ type: "Refine" }] });
  const advice = { fields: { discussion: "x", advice: { self: "Begin with a capital letter." } } };
  t.context.model.script({ fields: { answer: "paris" } }, advice, { fields: { answer: "Paris" } });
  t.deepEqual((await run(t, programId))?.outputs, { answer: "Paris" });
});

test("MultiChainComparison compares attempts, and its rationale can be an output", async (t) => {
  const programId = await create(t, {
    signature: { text: "question -> answer, rationale" },
    modules: [{ type: "MultiChainComparison", signature: { text: "question -> answer" }, params: { M: 2 } }],
  });
  const chain = { fields: { reasoning: "so", answer: "Paris" } };
  t.context.model.script(chain, chain, { fields: { rationale: "both say so", answer: "Paris" } });
  const record = await run(t, programId);
  t.deepEqual(record?.outputs, { answer: "Paris", rationale: "both say so" });
  t.is(record?.tokenUsage?.lmCalls, 3n);
});

test("a program of wrapped modules can be read and sent back unchanged", async (t) => {
  const { programs } = t.context.gateway;
  const id = await create(t, {
    signature: bounded,
    modules: [{ type: "BestOfN", params: { reward_fn: "judge", rubric: "It is short." } }],
  });
  const { program } = await programs.getProgram({ id });
  t.is(program?.modules[0]?.modules[0]?.type, "Predict");
  t.is((await programs.updateProgram({ program: program as object })).program?.revision, 1);
});

test("refuses an invalid wiring with the path of each violation", async (t) => {
  const program = {
    name: "Wrong",
    signature: { text: "question -> answer, score: float" },
    modules: [
      {
        name: "one",
        type: "Predict",
        signature: { text: "question, later, missing -> topic" },
        inputFrom: { later: "two.answer" },
      },
      { name: "two", type: "Predictt", signature: { text: "topic: int -> answer" }, params: { x: 1 } },
    ],
  };
  const refused = await failure(t, t.context.gateway.programs.createProgram({ program }));
  t.like(refused, { code: Code.InvalidArgument, reason: "PROGRAM_INVALID" });
  t.deepEqual(refused.paths, [
    "program.modules[0].input_from.later",
    "program.modules[0].input_from.missing",
    "program.modules[1].input_from.topic",
    "program.modules[1].type",
    "program.signature.outputs[1]",
  ]);
});

test("the catalogue has the parameters with their types, bounds and defaults", async (t) => {
  const { modules } = await t.context.gateway.catalogue.listModules({});
  const best = modules.find(({ name }) => name === "BestOfN");
  t.is(best?.refused, "");
  t.like(
    best?.parameters.find(({ name }) => name === "N"),
    { type: "int", min: 1, max: 20, defaultValue: { kind: { case: "numberValue", value: 3 } } },
  );
});
