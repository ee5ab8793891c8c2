import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { type Execution, ExecutionStatus } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { Reply, ScriptedModel } from "../../_model.ts";

// Serial: the tests share a model, and each test scripts its answers.
const test = anyTest.serial as TestFn<{ gateway: Gateway; model: ScriptedModel }>;
const file = shared(anyTest);
const inputs = { question: "Where?" };
const half = "[[ ## answer ## ]]\nParis is a ci";
const whole = "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]";

test.before(async (t) => {
  t.context = await startScripted(file);
});

async function create({ programs }: Gateway, text = "question -> answer"): Promise<string> {
  const { program } = await programs.createProgram({
    program: { name: `Answers ${randomUUID()}`, signature: { text } },
  });
  return program?.id ?? "";
}

/** The records of a run and of a streamed run, if the model gives this answer. */
async function records(
  { gateway, model }: { gateway: Gateway; model: ScriptedModel },
  reply: Reply,
  signature?: string,
): Promise<(Execution | undefined)[]> {
  const programId = await create(gateway, signature);
  model.script(reply);
  const stream = async () => {
    for await (const _ of gateway.programs.streamProgram({ programId, inputs }));
  };
  await gateway.programs.executeProgram({ programId, inputs }).catch(() => {});
  await stream().catch(() => {});
  const { executions } = await gateway.executions.listExecutions({ filter: `program_id = "${programId}"` });
  return Promise.all(
    executions.map(async ({ id }) => (await gateway.executions.getExecution({ id })).execution),
  );
}

test("a run, its steps and its stream say how the model ended, and runs are found by it", async (t) => {
  for (const finish of ["stop", "length"]) {
    const found = await records(t.context, { text: whole, finish });
    t.is(found.length, 2);
    for (const execution of found) {
      t.is(execution?.status, ExecutionStatus.COMPLETED);
      t.is(execution?.finishReason, finish);
      t.deepEqual(
        execution?.steps.map(({ finishReason }) => finishReason),
        [finish],
      );
      for (const field of ["finish_reason", "steps.finish_reason"]) {
        const filter = `program_id = "${execution?.programId}" AND ${field}${field.includes(".") ? ":" : " = "}"${finish}"`;
        const { executions } = await t.context.gateway.executions.listExecutions({ filter });
        t.is(executions.length, 2, filter);
      }
    }
  }
});

test("the answer to ExecuteProgram and the end of a stream carry the finish reason", async (t) => {
  const { gateway, model } = t.context;
  const programId = await create(gateway);
  model.script({ text: whole });
  const { execution } = await gateway.programs.executeProgram({ programId, inputs });
  t.is(execution?.finishReason, "stop");
  for await (const { event } of gateway.programs.streamProgram({ programId, inputs }))
    if (event.case === "done") t.is(event.value.execution?.finishReason, "stop");
});

test("half an answer fails the run as OUTPUT_TRUNCATED, with what there was on record", async (t) => {
  const { gateway, model } = t.context;
  for (const finish of ["length", "content_filter"]) {
    const before = model.requests.length;
    const found = await records(t.context, { text: half, finish });
    t.is(model.requests.length, before + 2);
    for (const execution of found) {
      t.is(execution?.status, ExecutionStatus.FAILED);
      t.is(execution?.errorReason, "OUTPUT_TRUNCATED");
      t.is(execution?.finishReason, finish);
      t.is(execution?.steps[0]?.rawAnswer, half);
    }
  }
  const programId = await create(gateway);
  const error = await failure(t, gateway.programs.executeProgram({ programId, inputs }));
  t.is(error.code, Code.Internal);
  t.is(error.reason, "OUTPUT_TRUNCATED");
});

const oddAnswers: [string, string, string][] = [
  ["a NUL in a key", "question -> m: dict[str, str]", '[[ ## m ## ]]\n{"a\\u0000b": "x"}'],
  ["a NUL in a text", "question -> answer", "[[ ## answer ## ]]\na\0b"],
  ["half of an emoji", "question -> answer", "[[ ## answer ## ]]\nhalf \ud83d"],
  ["an escape of half of an emoji", "question -> tags: list[str]", '[[ ## tags ## ]]\n["x\\ud83d",]'],
  ["3,000 brackets", "question -> tags: list[str]", `[[ ## tags ## ]]\n${"[".repeat(3_000)}`],
];
for (const [name, signature, text] of oddAnswers)
  test(`${name} in an answer is OUTPUT_INVALID, and the record has the answer`, async (t) => {
    const found = await records(t.context, { text, piece: 1 }, signature);
    t.is(found.length, 2);
    for (const execution of found) {
      t.is(execution?.status, ExecutionStatus.FAILED);
      t.is(execution?.errorReason, "OUTPUT_INVALID");
      t.is(execution?.steps[0]?.rawAnswer, text.toWellFormed().replaceAll("\0", "\ufffd"));
    }
  });

test("an emoji may come in two chunks of the model's stream", async (t) => {
  const { gateway, model } = t.context;
  const programId = await create(gateway);
  model.script({ text: "[[ ## answer ## ]]\nhi 😀 there", piece: 1 });
  let text = "";
  for await (const { event } of gateway.programs.streamProgram({ programId, inputs })) {
    if (event.case === "chunk") text += event.value.text;
    if (event.case === "done") t.deepEqual(event.value.outputs, { answer: text });
  }
  t.is(text, "hi 😀 there");
});
