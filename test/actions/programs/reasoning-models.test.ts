import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";

type Context = { gateway: Gateway; model: ScriptedModel; reasoning: string; plain: string; warm: string };
const test = anyTest.serial as TestFn<Context>;
const file = shared(anyTest);
const signature = { text: "question -> answer" };
const inputs = { question: "A question that nobody else asks?" };
const mini = "openai/gpt-5-mini";

test.before(async (t) => {
  const scripted = await startScripted(file, { SIGRUN_LM_ALLOWED: mini });
  const create = async (name: string, lm: object) =>
    (await scripted.gateway.programs.createProgram({ program: { name, signature, lm } })).program?.id ?? "";
  t.context = {
    ...scripted,
    reasoning: await create("reasoning", { model: mini }),
    plain: await create("plain", {}),
    warm: await create("warm", { temperature: 0.7, maxTokens: 500 }),
  };
});
test.beforeEach(({ context }) => context.model.script({ fields: { answer: "here" } }));

/** The fields that a call is refused for, and the requests that the model got. */
async function refused(t: ExecutionContext<Context>, call: () => Promise<unknown>) {
  const { model } = t.context;
  const before = model.requests.length;
  const { reason, paths } = await failure(t, call());
  return [reason, paths, model.requests.length - before];
}

const runs: [title: string, program: "reasoning" | "plain" | "warm", lm: object, fields: string[]][] = [
  ["its temperature", "reasoning", { temperature: 0.7 }, ["lm.temperature"]],
  ["a temperature of 0", "reasoning", { temperature: 0 }, ["lm.temperature"]],
  ["its max_tokens", "reasoning", { maxTokens: 500 }, ["lm.max_tokens"]],
  ["both", "plain", { model: mini, temperature: 2, maxTokens: 1 }, ["lm.max_tokens", "lm.temperature"]],
  ["the model, if the program sets the temperature", "warm", { model: mini }, ["lm.model"]],
];

for (const [title, program, lm, fields] of runs)
  test(`a run is refused for ${title}, before the model is asked`, async (t) => {
    const { gateway } = t.context;
    const request = { programId: t.context[program], inputs, lm };
    const expected = ["REQUEST_INVALID", fields, 0];
    t.deepEqual(await refused(t, () => gateway.programs.executeProgram(request)), expected);
    const example = { inputs, outputs: { answer: "here" } };
    const evaluation = { programId: t.context[program], dataset: [example], lm };
    const evaluate = async () => {
      for await (const _ of gateway.programs.evaluateProgram(evaluation)) t.pass();
    };
    t.deepEqual(await refused(t, evaluate), expected);
    const { executions } = await gateway.executions.listExecutions({ filter: `program_id = "${program}"` });
    t.is(executions.length, 0);
  });

for (const lm of [{ temperature: 1 }, { maxTokens: 16_000 }, {}])
  test(`a reasoning model takes ${JSON.stringify(lm)}`, async (t) => {
    const { gateway, reasoning } = t.context;
    const { outputs } = await gateway.programs.executeProgram({ programId: reasoning, inputs, lm });
    t.deepEqual(outputs, { answer: "here" });
  });

test("a run may set what the program sets otherwise", async (t) => {
  const { gateway, warm } = t.context;
  const lm = { model: mini, temperature: 1, maxTokens: 20_000 };
  const { outputs } = await gateway.programs.executeProgram({ programId: warm, inputs, lm });
  t.deepEqual(outputs, { answer: "here" });
});

const programs: [title: string, program: object, fields: string[]][] = [
  ["its own settings", { lm: { model: mini, temperature: 0.2 } }, ["program.lm.temperature"]],
  [
    "a module's settings",
    { lm: { model: mini }, modules: [{ type: "Predict", lm: { maxTokens: 10 } }] },
    ["program.modules[0].lm.max_tokens"],
  ],
  [
    "a module's model, if the program sets the temperature",
    { lm: { temperature: 0.2 }, modules: [{ type: "Predict", lm: { model: mini } }] },
    ["program.modules[0].lm.model"],
  ],
  [
    "a module's parameter",
    { lm: { model: mini }, modules: [{ type: "MultiChainComparison", params: { temperature: 0.5 } }] },
    ["program.modules[0].params.temperature"],
  ],
];

for (const [title, program, fields] of programs)
  test(`a program is refused for ${title}`, async (t) => {
    const create = () =>
      t.context.gateway.programs.createProgram({ program: { name: title, signature, ...program } });
    t.deepEqual(await refused(t, create), ["PROGRAM_INVALID", fields, 0]);
  });

test("a module's default temperature is no setting of the caller's, also if it is sent back", async (t) => {
  for (const params of [{}, { temperature: 0.7 }])
    await t.notThrowsAsync(
      t.context.gateway.programs.createProgram({
        program: {
          name: `Compared ${JSON.stringify(params)}`,
          signature,
          lm: { model: mini },
          modules: [{ type: "MultiChainComparison", params }],
        },
      }),
    );
});

test("an optimization is refused for the temperature of its proposals and of its models", async (t) => {
  const { gateway, plain } = t.context;
  const dataset = Array.from({ length: 6 }, (_, n) => ({
    inputs: { question: `${n}` },
    outputs: { answer: `${n}` },
  }));
  const lms = { prompt: { model: mini, temperature: 0.3 } };
  const config = { init_temperature: 0.9 };
  const start = () =>
    gateway.programs.optimizeProgram({ programId: plain, optimizer: "COPRO", dataset, lms, config });
  t.deepEqual(await refused(t, start), [
    "REQUEST_INVALID",
    ["config.init_temperature", "lms.prompt.temperature"],
    0,
  ]);
});
