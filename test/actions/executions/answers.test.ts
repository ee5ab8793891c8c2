import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";

// Serial: the tests share a model, and each test scripts its answers.
const test = anyTest.serial as TestFn<{ gateway: Gateway; model: ScriptedModel }>;
const file = shared(anyTest);

test.before(async (t) => {
  t.context = await startScripted(file);
});

const refused = Symbol("refused");
type Value = null | number | string | boolean | Value[] | { [key: string]: Value };

/** A type, what the model writes for it, and the output of the run. */
const chatAnswers: [type: string, text: string, output: Value | typeof refused][] = [
  ["Optional[str]", "None", null],
  ["Optional[str]", '"None"', '"None"'],
  ["list[str]", "[1, 2.5]", ["1", "2.5"]],
  ["list[str]", '["smile \\ud83d\\ude00",]', ["smile 😀"]],
  ["int", "true", refused],
  ["int", "0x10", refused],
  ["dict[int, int]", '{"1": 1, "01": 2}', refused],
  ["dict[str, str]", "{1: 'x', '1': 'y'}", refused],
  ["list[Optional[float]]", "[NaN]", refused],
  ["Optional[float]", "Infinity", refused],
  ["list[str]", "[".repeat(3_000), refused],
];
const jsonAnswers: [type: string, answer: string, output: Value | typeof refused][] = [
  ["str", '{"a": null}', refused],
  ["str", '{"a": ["x", true]}', refused],
  ["str", '{"a": 9007199254740993}', refused],
  ["str", '{"a": "9007199254740993"}', "9007199254740993"],
  ["Optional[str]", '{"a": "None"}', "None"],
  ['Literal["1", "2"]', '{"a": 1}', "1"],
  ["str", '{"a": "line1\nline2 \\ud83d\\ude00"}', "line1\nline2 😀"],
  ["Optional[int]", '{"b": 1}', refused],
];

for (const [adapter, answers] of Object.entries({ ChatAdapter: chatAnswers, JSONAdapter: jsonAnswers }))
  test(`what a model writes by the ${adapter} is what the table of values makes of it`, async (t) => {
    const { gateway, model } = t.context;
    for (const [type, answer, output] of answers) {
      const { program } = await gateway.programs.createProgram({
        program: { name: "Table", signature: { text: `question -> a: ${type}` }, lm: { adapter } },
      });
      const text = adapter === "JSONAdapter" ? answer : `[[ ## a ## ]]\n${answer}\n\n[[ ## completed ## ]]`;
      model.script({ text });
      const run = gateway.programs.executeProgram({
        programId: program?.id ?? "",
        inputs: { question: "?" },
      });
      if (output !== refused) {
        t.deepEqual((await run).outputs, { a: output }, `${type} ${answer}`);
        continue;
      }
      const error = await failure(t, run);
      t.is(error.reason, "OUTPUT_INVALID", `${type} ${answer}`);
      const { execution } = await gateway.executions.getExecution({ id: error.metadata.execution_id ?? "" });
      t.is(execution?.steps[0]?.rawAnswer, text, `${type} ${answer}`);
    }
  });

test("BestOfN gives its best attempt, and the constraints of the program's signature still hold", async (t) => {
  const { gateway, model } = t.context;
  const inputs = [{ name: "question" }];
  const oneWord = [{ name: "draft", constraints: { pattern: "\\S+" } }];
  const bestOf = { name: "best", type: "BestOfN", params: { N: 2 } };
  const create = async (program: object) =>
    (await gateway.programs.createProgram({ program: { name: "Best", ...program } })).program?.id ?? "";
  const free = await create({
    signature: { inputs, outputs: [{ name: "draft" }] },
    modules: [{ ...bestOf, signature: { inputs, outputs: oneWord } }],
  });
  model.script({ text: "[[ ## draft ## ]]\na b" });
  const { outputs } = await gateway.programs.executeProgram({ programId: free, inputs: { question: "?" } });
  t.deepEqual(outputs, { draft: "a b" });

  const strict = await create({ signature: { inputs, outputs: oneWord }, modules: [bestOf] });
  const error = await failure(
    t,
    gateway.programs.executeProgram({ programId: strict, inputs: { question: "?" } }),
  );
  t.is(error.code, Code.Internal);
  t.is(error.reason, "OUTPUT_INVALID");
});

test("an integer beyond 2^53-1 for a str is refused by JSON, by protobuf and by ValidateInputs", async (t) => {
  const { gateway } = t.context;
  const { program } = await gateway.programs.createProgram({
    program: { name: "Exact", signature: { text: "id -> a" } },
  });
  const programId = program?.id ?? "";
  const error = await failure(t, gateway.programs.executeProgram({ programId, inputs: { id: 2 ** 53 } }));
  t.is(error.reason, "INPUT_INVALID");
  const validated = await gateway.signatures.validateInputs({
    key: { case: "programId", value: programId },
    values: { id: 2 ** 53 },
  });
  t.regex(validated.violations[0]?.description ?? "", /loses digits, so write it as a string/);
  const response = await fetch(`${gateway.url}/sigrun.v1.ProgramService/ExecuteProgram`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: `{"programId": "${programId}", "inputs": {"id": 9007199254740993}}`,
  });
  t.is(response.status, 400);
  t.regex(await response.text(), /loses digits/);
});
