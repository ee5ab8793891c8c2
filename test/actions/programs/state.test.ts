import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { ignoredModels } from "../../../src/domain/program/ignored-models.ts";
import { ProgramStatus } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { failure } from "../../_errors.ts";
import { createMoodsTest } from "../../_moods.ts";

const test = createMoodsTest();

/** What DSPy's save() writes for "text -> mood", with a demo and a model that is not allowed. */
const saved = (mood: string) =>
  JSON.stringify({
    traces: [],
    train: [],
    demos: [{ text: "All is glad.", mood }],
    signature: {
      instructions: "Say the mood.",
      fields: [
        { prefix: "Text:", description: "the text" },
        { prefix: "Mood:", description: "the mood" },
      ],
    },
    lm: { model: "openai/elsewhere", api_base: "http://127.0.0.1:1/v1", temperature: null },
    metadata: { dependency_versions: { python: "3.11", dspy: "3.4.1", cloudpickle: "3.1" } },
  });

test("an imported state becomes a revision that runs and can be read back byte for byte", async (t) => {
  const { gateway, model, programId } = t.context;
  const compiledState = saved("glad");
  const { program, ignoredModels } = await gateway.programs.importProgramState({ programId, compiledState });
  t.deepEqual(ignoredModels, ["self: openai/elsewhere"]);
  t.like(program, { revision: 2, status: ProgramStatus.OPTIMIZED });
  const { revision } = await gateway.programs.getRevision({ programId, revision: 2 });
  t.like(revision, { origin: "imported", compiledState });
  const { outputs } = await gateway.programs.executeProgram({ programId, inputs: { text: "This is glad." } });
  t.deepEqual(outputs, { mood: "glad" });
  const [system, example] = model.requests.at(-1)?.messages ?? [];
  t.true(system?.content.includes("Say the mood."));
  t.true(example?.content.includes("All is glad."));
  t.is(model.requests.at(-1)?.model, "scripted");
});

test("refuses an invalid state or the state of another program, and makes no revision", async (t) => {
  const { gateway, programId } = t.context;
  const refused = async (compiledState: string) => {
    const { code, reason, paths } = await failure(
      t,
      gateway.programs.importProgramState({ programId, compiledState }),
    );
    t.is(code, Code.InvalidArgument);
    return [reason, ...paths];
  };
  t.deepEqual(await refused(""), ["REQUEST_INVALID", "compiled_state"]);
  for (const state of [
    "no JSON",
    "[]",
    "{}",
    '{"other": {"demos": []}}',
    saved("glad").replace('"demos":[{', '"demos":[7,{'),
    "a\0b",
  ])
    t.deepEqual(await refused(state), ["PROGRAM_INVALID", "compiled_state"], state);
  t.is((await gateway.programs.getProgram({ id: programId })).program?.revision, 1);
});

test("refuses a state of other fields, and says which and where", async (t) => {
  const { gateway, programId } = t.context;
  const compiledState = saved("glad").replace("the text", ["$", "{sentence}"].join(""));
  const error = await t.throwsAsync(gateway.programs.importProgramState({ programId, compiledState }), {
    instanceOf: ConnectError,
  });
  t.is(error?.code, Code.InvalidArgument);
  t.regex(error?.message ?? "", /signature\.fields\[0\] is the field sentence; expected text/);
});

test("tells the models of a state by their predictors, and none of a state without them", async (t) => {
  t.deepEqual(ignoredModels(JSON.stringify({ a: { lm: null }, metadata: {} })), []);
  t.deepEqual(
    ignoredModels(JSON.stringify({ "hops[0].predict": { lm: { model: "x/y" } }, say: { lm: {} } })),
    ["hops[0].predict: x/y", "say: a model without a name"],
  );
});

test("an import checks its etag and happens once per request_id", async (t) => {
  const { gateway, programId } = t.context;
  const { program } = await gateway.programs.getProgram({ id: programId });
  const etag = program?.etag ?? "";
  const requestId = randomUUID();
  const ask = (mood: string, more: object) =>
    gateway.programs.importProgramState({ programId, compiledState: saved(mood), ...more });
  const both = await Promise.all(
    [ask("glad", { etag, requestId }), ask("glad", { etag, requestId })].map((call) =>
      call.catch(() => undefined),
    ),
  );
  t.true(both.some((answer) => answer?.program?.revision === 2));
  t.is((await ask("glad", { requestId })).program?.revision, 2);
  t.is((await failure(t, ask("sad", { requestId }))).reason, "REQUEST_ID_REUSED");
  t.is((await failure(t, ask("sad", { etag }))).reason, "ETAG_MISMATCH");
  t.is((await gateway.programs.getProgram({ id: programId })).program?.revision, 2);
});

test("an exported program is a file for DSPy, with the state that it loads", async (t) => {
  const { gateway, programId } = t.context;
  const plain = await gateway.programs.exportProgram({ programId });
  t.true(plain.source.endsWith('program = dspy.Predict("text -> mood: Literal[\\"glad\\", \\"sad\\"]")\n'));
  t.is(plain.compiledState, "");
  await gateway.programs.importProgramState({ programId, compiledState: saved("glad") });
  const { source, compiledState } = await gateway.programs.exportProgram({ programId });
  t.is(source, plain.source);
  const imported = JSON.parse(saved("glad"));
  t.like(JSON.parse(compiledState), { demos: imported.demos, signature: imported.signature, lm: null });
  t.is((await gateway.programs.exportProgram({ programId, revision: 1 })).compiledState, "");
  t.is((await failure(t, gateway.programs.exportProgram({ programId: "nobodys" }))).code, Code.NotFound);
  t.is((await failure(t, gateway.programs.exportProgram({ programId, revision: 9 }))).code, Code.NotFound);
});

test("the class of an exported pipeline has the name of the program's handle", async (t) => {
  const { gateway } = t.context;
  const { program } = await gateway.programs.createProgram({
    program: {
      name: "Two steps",
      handle: "two-steps",
      signature: { text: "question -> answer" },
      modules: [
        { name: "think", type: "ChainOfThought", signature: { name: "Think", text: "question -> draft" } },
        { name: "say", type: "Predict", signature: { text: "draft -> answer" } },
      ],
    },
  });
  const { source } = await gateway.programs.exportProgram({ programId: program?.id ?? "" });
  t.true(source.includes("class Think(dspy.Signature):\n    question: str = dspy.InputField()\n"));
  t.true(source.includes("class TwoSteps(dspy.Module):\n"));
  t.true(source.includes('        self.say = dspy.Predict("draft -> answer")\n'));
  t.true(source.endsWith("program = TwoSteps()\n"));
});
