import { Code, ConnectError } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startGateway, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";

// Two gateways on one database; the operator has enabled generated code for one of them.
const test = anyTest.serial as TestFn<{ on: Gateway; off: Gateway; model: ScriptedModel }>;
const file = shared(anyTest);
test.before(async (t) => {
  const schema = { SIGRUN_DATABASE_SCHEMA: "both" };
  const { gateway: on, model, env } = await startScripted(file, { ...schema, SIGRUN_GENERATED_CODE: "on" });
  t.context = { on, off: await startGateway(file, { ...env, ...schema }), model };
});

const inputs = { question: "Six times seven?" };
const of = (type: string) => ({
  name: `Of ${type}`,
  signature: { text: "question -> answer" },
  modules: [{ type }],
});
const code = { fields: { reasoning: "I multiply", generated_code: 'SUBMIT({"answer": 6 * 7})' } };
const endless = { fields: { reasoning: "I think", generated_code: "while True:\n    pass" } };
const answer = { fields: { reasoning: "the code says so", answer: "42" } };

test("modules that run code work if the operator has enabled them", async (t) => {
  t.timeout(240_000);
  const { on, model } = t.context;
  const { modules } = await on.catalogue.listModules({});
  t.deepEqual(
    modules.filter(({ refused }) => refused !== ""),
    [],
  );
  const { program } = await on.programs.createProgram({ program: of("ProgramOfThought") });
  const programId = program?.id ?? "";
  model.script(code, answer);
  const { outputs, execution } = await on.programs.executeProgram(
    { programId, inputs },
    { timeoutMs: 60_000 },
  );
  t.deepEqual(outputs, { answer: "42" });
  t.is(execution?.tokenUsage?.lmCalls, 2n);

  model.script(endless);
  const late = await t.throwsAsync(on.programs.executeProgram({ programId, inputs }, { timeoutMs: 4_000 }), {
    instanceOf: ConnectError,
  });
  t.is(late?.code, Code.DeadlineExceeded);
});

test("refuses modules that run code until the operator enables them", async (t) => {
  const { off } = t.context;
  for (const type of ["ProgramOfThought", "CodeAct", "RLM"]) {
    t.regex(
      (await off.catalogue.listModules({})).modules.find(({ name }) => name === type)?.refused ?? "",
      /SIGRUN_GENERATED_CODE/,
    );
    const refused = await failure(t, off.programs.createProgram({ program: of(type) }));
    t.like(refused, { code: Code.FailedPrecondition, reason: "NOT_ENABLED" });
    t.deepEqual(refused.paths, ["program.modules[0].type"]);
  }
  const { program: plain } = await off.programs.createProgram({ program: of("Predict") });
  const update = { id: plain?.id ?? "", modules: [{ type: "RLM" }] };
  t.is((await failure(t, off.programs.updateProgram({ program: update }))).reason, "NOT_ENABLED");
});

test("a program with code that was created while it was enabled fails with NOT_ENABLED once it is disabled", async (t) => {
  const { on, off } = t.context;
  const { program } = await on.programs.createProgram({ program: of("RLM") });
  const id = program?.id ?? "";
  t.is((await failure(t, off.programs.compileProgram({ programId: id }))).reason, "NOT_ENABLED");
  t.is((await failure(t, off.programs.executeProgram({ programId: id, inputs }))).reason, "NOT_ENABLED");
  t.is((await off.programs.getProgram({ id })).program?.errorReason, "");
});

test("an RLM keeps the model that its code asks, and refuses other roles and models", async (t) => {
  const { programs, catalogue } = t.context.on;
  const modules = [{ type: "RLM", lms: { sub_lm: { model: "openai/scripted", temperature: 0.5 } } }];
  const { program } = await programs.createProgram({ program: { ...of("RLM"), name: "Sub", modules } });
  const id = program?.id ?? "";
  t.like(program?.modules[0]?.lms.sub_lm, { model: "openai/scripted", temperature: 0.5 });
  t.is((await programs.updateProgram({ program: program as object })).program?.revision, 1);
  const changed = await programs.updateProgram({ program: { id, lm: { temperature: 0.1 } } });
  t.is(changed.program?.modules[0]?.lms.sub_lm?.temperature, 0.5);
  const { modules: known } = await catalogue.listModules({});
  t.deepEqual(
    known.flatMap(({ name, lms }) => (lms.length > 0 ? [[name, lms]] : [])),
    [["RLM", ["sub_lm"]]],
  );

  const refused = async (module: object) =>
    (await failure(t, programs.createProgram({ program: { ...of("RLM"), modules: [module] } }))).paths;
  t.deepEqual(await refused({ type: "RLM", lms: { sub: {} } }), ["program.modules[0].lms.sub"]);
  t.deepEqual(await refused({ type: "Predict", lms: { sub_lm: {} } }), ["program.modules[0].lms.sub_lm"]);
  const wrong = { sub_lm: { model: "openai/none", adapter: "XMLAdapter" } };
  t.deepEqual(await refused({ type: "RLM", lms: wrong }), [
    "program.modules[0].lms.sub_lm.adapter",
    "program.modules[0].lms.sub_lm.model",
  ]);
});
