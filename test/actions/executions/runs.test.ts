import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { ExecutionStatus } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import { ProgramStatus } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";
import { until } from "../../_wait.ts";

// Serial: the tests share a model, and each test scripts its answers.
const test = anyTest.serial as TestFn<{ gateway: Gateway; model: ScriptedModel }>;
const file = shared(anyTest);
const capital = { fields: { answer: "Paris" } };

test.before(async (t) => {
  t.context = await startScripted(file);
});
test.beforeEach((t) => t.context.model.script(capital));

async function create({ programs }: Gateway, text = "question -> answer", type = "Predict"): Promise<string> {
  const { program } = await programs.createProgram({
    program: { name: "Capital", signature: { text }, modules: [{ type }] },
  });
  return program?.id ?? "";
}

test("a run is on record with its inputs, outputs, steps, tokens, duration and model", async (t) => {
  const { gateway } = t.context;
  const programId = await create(gateway);
  const { outputs, execution } = await gateway.programs.executeProgram({
    programId,
    inputs: { question: "Capital of France?" },
    labels: { team: "geo" },
  });
  t.deepEqual(outputs, { answer: "Paris" });

  const { execution: record } = await gateway.executions.getExecution({ id: execution?.id ?? "" });
  t.is(record?.status, ExecutionStatus.COMPLETED);
  t.deepEqual(record?.inputs, { question: "Capital of France?" });
  t.deepEqual(record?.outputs, { answer: "Paris" });
  t.deepEqual(record?.labels, { team: "geo" });
  t.is(record?.model, "openai/scripted");
  t.is(record?.tokenUsage?.inputTokens, 30n);
  t.is(record?.tokenUsage?.totalTokens, 42n);
  t.is(record?.tokenUsage?.lmCalls, 1n);
  t.is(record?.steps.length, 1);
  t.deepEqual(record?.steps[0]?.outputs, { answer: "Paris" });
  t.true((record?.durationMs ?? -1n) >= 0n);
  t.is(record?.durationSeconds, Number(record?.durationMs) / 1000);
});

test("the first run of a draft makes it ready", async (t) => {
  const { programs } = t.context.gateway;
  const programId = await create(t.context.gateway);
  await programs.executeProgram({ programId, inputs: { question: "?" } });
  const { program } = await programs.getProgram({ id: programId });
  t.is(program?.status, ProgramStatus.READY);
});

test("compiling makes a draft ready without calling the model", async (t) => {
  const { gateway, model } = t.context;
  const before = model.requests.length;
  const { program } = await gateway.programs.compileProgram({ programId: await create(gateway) });
  t.is(program?.status, ProgramStatus.READY);
  t.is(model.requests.length, before);
});

test("the reasoning of ChainOfThought is in the step and not in the outputs", async (t) => {
  const { gateway, model } = t.context;
  model.script({ fields: { reasoning: "I looked it up.", answer: "Paris" } });
  const { outputs, execution } = await gateway.programs.executeProgram({
    programId: await create(gateway, "question -> answer", "ChainOfThought"),
    inputs: { question: "?" },
  });
  t.deepEqual(outputs, { answer: "Paris" });
  const { execution: record } = await gateway.executions.getExecution({ id: execution?.id ?? "" });
  t.deepEqual(record?.steps[0]?.outputs, { reasoning: "I looked it up.", answer: "Paris" });
});

test("refuses invalid inputs with every path, and leaves no record", async (t) => {
  const { gateway } = t.context;
  const programId = await create(gateway, "question, sources: list[str], n: int -> answer");
  const error = await failure(
    t,
    gateway.programs.executeProgram({ programId, inputs: { question: {}, sources: ["a", ["b"]], x: 1 } }),
  );
  t.is(error.code, Code.InvalidArgument);
  t.is(error.reason, "INPUT_INVALID");
  t.is(error.domain, "sigrun");
  t.deepEqual(error.paths, ["inputs.n", "inputs.question", "inputs.sources[1]", "inputs.x"]);
  const { executions } = await gateway.executions.listExecutions({ filter: `program_id = "${programId}"` });
  t.is(executions.length, 0);
});

test("an answer that does not fit the signature fails the run as OUTPUT_INVALID, with the raw answer on record", async (t) => {
  const { gateway, model } = t.context;
  model.script({ text: "I would rather not." });
  const error = await failure(
    t,
    gateway.programs.executeProgram({ programId: await create(gateway), inputs: { question: "?" } }),
  );
  t.is(error.code, Code.Internal);
  t.is(error.reason, "OUTPUT_INVALID");
  const { execution } = await gateway.executions.getExecution({ id: error.metadata.execution_id ?? "" });
  t.is(execution?.status, ExecutionStatus.FAILED);
  t.is(execution?.errorReason, "OUTPUT_INVALID");
  t.regex(execution?.steps[0]?.rawAnswer ?? "", /I would rather not/);
  t.is(execution?.tokenUsage?.lmCalls, 2n);
  t.is(execution?.tokenUsage?.inputTokens, 60n);
});

test("a deadline ends the HTTP request to the model, and the run is recorded as failed", async (t) => {
  const { gateway, model } = t.context;
  model.script({ hang: true });
  const programId = await create(gateway);
  const aborted = model.aborted();
  const error = await failure(
    t,
    gateway.programs.executeProgram({ programId, inputs: { question: "?" } }, { timeoutMs: 400 }),
  );
  t.is(error.code, Code.DeadlineExceeded);
  await until(() => model.aborted() > aborted);
  const record = await until(async () => {
    const { executions } = await gateway.executions.listExecutions({ filter: `program_id = "${programId}"` });
    return executions[0]?.status === ExecutionStatus.RUNNING ? undefined : executions[0];
  });
  t.is(record.status, ExecutionStatus.FAILED);
  t.is(record.errorReason, "DEADLINE_EXCEEDED");
});

test("a caller that leaves cancels the HTTP request to the model, and the run is recorded as cancelled", async (t) => {
  const { gateway, model } = t.context;
  model.script({ hang: true });
  const programId = await create(gateway);
  const before = { aborted: model.aborted(), requests: model.requests.length };
  const caller = new AbortController();
  const call = failure(
    t,
    gateway.programs.executeProgram({ programId, inputs: { question: "?" } }, { signal: caller.signal }),
  );
  await until(() => model.requests.length > before.requests);
  caller.abort();
  t.is((await call).code, Code.Canceled);
  await until(() => model.aborted() > before.aborted);
  const record = await until(async () => {
    const { executions } = await gateway.executions.listExecutions({ filter: `program_id = "${programId}"` });
    return executions[0]?.status === ExecutionStatus.RUNNING ? undefined : executions[0];
  });
  t.is(record.status, ExecutionStatus.CANCELLED);
  t.is(record.errorReason, "CANCELLED");
});

test("a repeated request_id gets the result of the first run, and nothing runs", async (t) => {
  const { gateway, model } = t.context;
  const request = { programId: await create(gateway), inputs: { question: "?" }, requestId: randomUUID() };
  const first = await gateway.programs.executeProgram(request);
  const requestsBefore = model.requests.length;
  const second = await gateway.programs.executeProgram(request);
  t.is(second.execution?.id, first.execution?.id);
  t.deepEqual(second.outputs, first.outputs);
  t.is(model.requests.length, requestsBefore);

  const other = await failure(
    t,
    gateway.programs.executeProgram({ ...request, inputs: { question: "another" } }),
  );
  t.is(other.code, Code.AlreadyExists);
  t.is(other.reason, "REQUEST_ID_REUSED");
});

test("twenty callers with one request_id share one run", async (t) => {
  const { gateway, model } = t.context;
  const request = { programId: await create(gateway), inputs: { question: "?" }, requestId: randomUUID() };
  const requestsBefore = model.requests.length;
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => gateway.programs.executeProgram(request)),
  );
  t.is(new Set(answers.map(({ execution }) => execution?.id)).size, 1);
  t.is(model.requests.length, requestsBefore + 1);
});

test("request headers set request_id, revision and labels", async (t) => {
  const { gateway } = t.context;
  const requestId = randomUUID();
  let executionId: string | null = null;
  const headers = { "sigrun-request-id": requestId, "sigrun-revision": "1", "sigrun-label-team": "search" };
  const { execution } = await gateway.programs.executeProgram(
    { programId: await create(gateway), inputs: { question: "?" } },
    { headers, onHeader: (header) => (executionId = header.get("sigrun-execution-id")) },
  );
  t.is(execution?.requestId, requestId);
  t.is(execution?.revision, 1);
  t.deepEqual(execution?.labels, { team: "search" });
  t.true(executionId === execution?.id);
});

test("200 runs at once each get their own record", async (t) => {
  const { gateway } = t.context;
  const programId = await create(gateway);
  const calls = Array.from({ length: 200 }, (_, n) =>
    gateway.programs.executeProgram({ programId, inputs: { question: `q${n}` } }),
  );
  const ids = (await Promise.all(calls)).map(({ execution }) => execution?.id ?? "");
  const records = await Promise.all(ids.map((id) => gateway.executions.getExecution({ id })));
  t.deepEqual(
    records.map(({ execution }) => execution?.inputs?.question),
    ids.map((_, n) => `q${n}`),
  );
});
