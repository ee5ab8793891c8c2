import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { ExecutionStatus } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import type { BatchExecuteProgramResponse } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import { inspected, liveMiB } from "../../_memory.ts";
import type { ScriptedModel } from "../../_model.ts";
import { until } from "../../_wait.ts";

const test = anyTest.serial as TestFn<{ gateway: Gateway; model: ScriptedModel; programId: string }>;
const file = shared(anyTest);
test.before(async (t) => {
  const { gateway, model } = await startScripted(file, inspected);
  const { program } = await gateway.programs.createProgram({
    program: { name: "Batched", signature: { text: "question -> answer" } },
  });
  t.context = { gateway, model, programId: program?.id ?? "" };
});
test.beforeEach(({ context }) => context.model.script({ fields: { answer: "here" } }));

async function collect(
  stream: AsyncIterable<BatchExecuteProgramResponse>,
): Promise<BatchExecuteProgramResponse[]> {
  const answers: BatchExecuteProgramResponse[] = [];
  for await (const answer of stream) answers.push(answer);
  return answers.sort((one, other) => one.index - other.index);
}
const items = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ inputs: { question: `Where is ${n}?` } }));

test("every item is answered under its index and has its own record", async (t) => {
  const { gateway, programId } = t.context;
  const answers = await collect(
    gateway.programs.batchExecuteProgram({ programId, items: items(20), labels: { batch: "one" } }),
  );
  t.deepEqual(
    answers.map(({ index }) => index),
    Array.from({ length: 20 }, (_, n) => n),
  );
  t.true(
    answers.every(({ result }) => result.case === "response" && result.value.outputs?.answer === "here"),
  );
  const ids = answers.map(({ result }) => (result.case === "response" ? result.value.execution?.id : ""));
  t.is(new Set(ids).size, 20);
  const { execution } = await gateway.executions.getExecution({ id: ids[7] ?? "" });
  t.like(execution, {
    inputs: { question: "Where is 7?" },
    labels: { batch: "one" },
    status: ExecutionStatus.COMPLETED,
  });
});

test("an item that is refused or fails is answered under its index, and the others run", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script(
    { fields: { answer: "here" } },
    { text: "no" },
    { text: "no" },
    { fields: { answer: "here" } },
  );
  const mixed = [
    { inputs: { question: "1" } },
    { inputs: { question: {} } },
    { inputs: { question: "2" } },
    { inputs: { question: "3" }, requestId: "x" },
    { inputs: { question: "4" }, labels: { "1x": "" } },
    { inputs: { question: "5" } },
  ];
  const answers = await collect(
    gateway.programs.batchExecuteProgram({ programId, items: mixed, concurrency: 1 }),
  );
  t.deepEqual(
    answers.map(({ result }) => result.case),
    ["response", "failure", "failure", "failure", "failure", "response"],
  );
  const failures = answers.map(({ result }) => (result.case === "failure" ? result.value : undefined));
  t.like(failures[1], { code: Code.InvalidArgument, reason: "INPUT_INVALID", executionId: "" });
  t.is(failures[1]?.violations[0]?.field, "inputs.question");
  t.like(failures[2], { code: Code.Internal, reason: "OUTPUT_INVALID" });
  t.regex(failures[2]?.executionId ?? "", /^[0-9a-f-]{36}$/);
  t.is(failures[3]?.violations[0]?.field, "request_id");
  t.is(failures[4]?.violations[0]?.field, 'labels["1x"]');
});

test("no more items run at a time than the request's concurrency", async (t) => {
  const { gateway, model, programId } = t.context;
  let release = () => {};
  const after = new Promise<void>((resolve) => {
    release = resolve;
  });
  model.script({ fields: { answer: "here" }, after });
  const requestsBefore = model.requests.length;
  const answers = collect(
    gateway.programs.batchExecuteProgram({ programId, items: items(30), concurrency: 5 }),
  );
  await until(() => model.requests.length >= requestsBefore + 5);
  t.is(model.requests.length, requestsBefore + 5);
  release();
  await answers;
  t.is(model.most(), 5);
});

test("answers come in the order in which the runs end", async (t) => {
  const { gateway, model, programId } = t.context;
  let release = () => {};
  const after = new Promise<void>((resolve) => {
    release = resolve;
  });
  model.script({ fields: { answer: "late" }, after }, { fields: { answer: "here" } });
  const answers = gateway.programs
    .batchExecuteProgram({ programId, items: items(3), concurrency: 2 })
    [Symbol.asyncIterator]();
  const early = [(await answers.next()).value, (await answers.next()).value] as BatchExecuteProgramResponse[];
  t.true(early.every(({ result }) => result.case === "response" && result.value.outputs?.answer === "here"));
  release();
  const last = (await answers.next()).value as BatchExecuteProgramResponse;
  t.is(last.result.case === "response" && last.result.value.outputs?.answer, "late");
});

test("an item with a request_id runs once, however often the batch is sent", async (t) => {
  const { gateway, model, programId } = t.context;
  const named = items(5).map((item) => ({ ...item, requestId: randomUUID() }));
  const first = await collect(gateway.programs.batchExecuteProgram({ programId, items: named }));
  const requestsBefore = model.requests.length;
  t.deepEqual(await collect(gateway.programs.batchExecuteProgram({ programId, items: named })), first);
  t.is(model.requests.length, requestsBefore);
});

test("refuses the whole batch if something is wrong for every item", async (t) => {
  const { gateway, model, programId } = t.context;
  const requestsBefore = model.requests.length;
  const batch = (request: object) =>
    failure(t, collect(gateway.programs.batchExecuteProgram({ programId, items: items(3), ...request })));
  t.like(await batch({ items: [] }), { code: Code.InvalidArgument, paths: ["items"] });
  t.like(await batch({ programId: "nobody" }), { code: Code.NotFound });
  t.like(await batch({ concurrency: 1_000 }), { code: Code.InvalidArgument, paths: ["concurrency"] });
  t.like(await batch({ lm: { model: "openai/other" } }), { code: Code.InvalidArgument, paths: ["lm.model"] });
  t.like(await batch({ labels: { "1x": "" } }), { code: Code.InvalidArgument, paths: ['labels["1x"]'] });
  t.is(model.requests.length, requestsBefore);
});

test("a caller that leaves a batch cancels its runs, and no further item starts", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script({ fields: { answer: "here" } }, { hang: true });
  const requestsBefore = model.requests.length;
  const aborted = model.aborted();
  const leave = new AbortController();
  const batch = gateway.programs.batchExecuteProgram(
    { programId, items: items(50), concurrency: 4 },
    { signal: leave.signal },
  );
  await t.throwsAsync(async () => {
    for await (const answer of batch) {
      t.is(answer.result.case, "response");
      await until(() => model.requests.length >= requestsBefore + 4);
      leave.abort();
    }
  });
  await until(() => model.aborted() >= aborted + 3);
  const open = await until(async () => {
    const { executions } = await gateway.executions.listExecutions({
      filter: `program_id = "${programId}"`,
      pageSize: 100,
    });
    return executions.every(({ completedAt }) => completedAt) && executions;
  });
  t.true(open.filter(({ status }) => status === ExecutionStatus.CANCELLED).length >= 3);
  t.true(model.requests.length <= requestsBefore + 5);
});

test("memory does not grow with the number of items", async (t) => {
  t.timeout(180_000);
  const { gateway, programId } = t.context;
  const run = async (count: number) => {
    for await (const answer of gateway.programs.batchExecuteProgram(
      { programId, items: items(count), concurrency: 32 },
      { timeoutMs: 120_000 },
    ))
      if (answer.result.case !== "response") t.fail(JSON.stringify(answer.result.value));
    return liveMiB(gateway);
  };
  // The first items fill caches and compile code.
  const before = await run(300);
  const after = await run(1_000);
  t.log(`${before.toFixed(1)} MiB are in use after 300 items, ${after.toFixed(1)} MiB after 1,300`);
  t.true(after < before + 4);
});
