import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { listen } from "../../_database.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startGateway, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";
import { until } from "../../_wait.ts";

// request_ids over two gateways on one database. Serial, since they share a model.
const test = anyTest.serial as TestFn<{
  one: Gateway;
  two: Gateway;
  model: ScriptedModel;
  programId: string;
  url: string;
}>;
const file = shared(anyTest);
const inputs = { question: "Where?" };
test.before(async (t) => {
  const schema = { SIGRUN_DATABASE_SCHEMA: "two_gateways" };
  const { gateway, model, env } = await startScripted(file, schema);
  const { program } = await gateway.programs.createProgram({
    program: { name: "Asked", signature: { text: "question -> answer" } },
  });
  t.context = {
    one: gateway,
    two: await startGateway(file, { ...env, ...schema }),
    model,
    programId: program?.id ?? "",
    url: env.DATABASE_URL,
  };
});
test.beforeEach(({ context }) => context.model.script({ fields: { answer: "here" } }));

/** Something to wait for, and what ends the wait. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

test("callers of two gateways with one request_id share one run", async (t) => {
  const { one, two, model, programId } = t.context;
  const { opened, open } = gate();
  model.script({ fields: { answer: "here" }, after: opened });
  const asked = model.requests.length;
  const request = { programId, inputs, requestId: randomUUID() };
  const calls = [one, two, one, two, two].map(({ programs }) => programs.executeProgram(request));
  await until(() => model.requests.length > asked);
  open();
  const answers = await Promise.all(calls);
  t.is(new Set(answers.map(({ execution }) => execution?.id)).size, 1);
  t.deepEqual(
    answers.map(({ outputs }) => outputs),
    answers.map(() => ({ answer: "here" })),
  );
  t.is(model.requests.length, asked + 1);
});

test("a run goes on for whoever waits at another gateway when its own caller leaves", async (t) => {
  const { one, two, model, programId } = t.context;
  const { opened, open } = gate();
  model.script({ fields: { answer: "here" }, after: opened });
  const asked = model.requests.length;
  const request = { programId, inputs, requestId: randomUUID() };
  const leave = new AbortController();
  const first = one.programs.executeProgram(request, { signal: leave.signal });
  await until(() => model.requests.length > asked);
  const said = await listen(t, t.context.url, "sigrun");
  const second = two.programs.executeProgram(request);
  second.catch(() => {});
  await said('"kind":"wait"');
  await one.executions.listExecutions({});
  leave.abort();
  await t.throwsAsync(first);
  open();
  t.deepEqual((await second).outputs, { answer: "here" });
  t.is(model.requests.length, asked + 1);
});

test("a run that failed is replayed as it failed, by any gateway", async (t) => {
  const { one, two, model, programId } = t.context;
  model.script({ text: "no" });
  const request = { programId, inputs, requestId: randomUUID() };
  const first = await failure(t, one.programs.executeProgram(request));
  model.script({ fields: { answer: "here" } });
  const asked = model.requests.length;
  const second = await failure(t, two.programs.executeProgram(request));
  t.deepEqual(second, first);
  t.is(second.reason, "OUTPUT_INVALID");
  t.is(model.requests.length, asked);
});

test("another request under the same request_id is refused, of whatever part it differs", async (t) => {
  const { one, two, programId } = t.context;
  const request = {
    programId,
    inputs,
    requestId: randomUUID(),
    labels: { a: "b" },
    lm: { temperature: 0.5 },
  };
  await one.programs.executeProgram(request);
  for (const other of [{ inputs: { question: "?" } }, { labels: {} }, { lm: {} }, { revision: 1 }])
    t.like(await failure(t, two.programs.executeProgram({ ...request, ...other })), {
      code: Code.AlreadyExists,
      reason: "REQUEST_ID_REUSED",
    });
});

test("the same call gets its run also when the program takes other inputs by now", async (t) => {
  const { one, two } = t.context;
  const { program } = await one.programs.createProgram({
    program: { name: "Changed", signature: { text: "question -> answer" } },
  });
  const request = { programId: program?.handle ?? "", inputs, requestId: randomUUID() };
  const first = await one.programs.executeProgram(request);
  await two.programs.updateProgram({
    program: { id: program?.id ?? "", signature: { text: "topic -> answer" } },
  });
  t.is((await two.programs.executeProgram(request)).execution?.id, first.execution?.id);
});

test("a call that is refused before its record leaves nothing, and its request_id is free", async (t) => {
  const { one, two, programId } = t.context;
  const requestId = randomUUID();
  t.like(await failure(t, one.programs.executeProgram({ programId, inputs: {}, requestId })), {
    code: Code.InvalidArgument,
  });
  t.deepEqual((await two.programs.executeProgram({ programId, inputs, requestId })).outputs, {
    answer: "here",
  });
});

test("a request_id belongs to its method", async (t) => {
  const { one, programId } = t.context;
  const requestId = randomUUID();
  const executed = await one.programs.executeProgram({ programId, inputs, requestId });
  const created = await one.executions.createExecution({ programId, inputs, requestId });
  const started = await one.executions.startExecution({ programId, inputs, requestId });
  t.is(new Set([executed.execution?.id, created.execution?.id, started.execution?.id]).size, 3);
});

test("programs, pending records and running records are made once under a request_id, over two gateways", async (t) => {
  const { one, two, programId } = t.context;
  const requestId = randomUUID();
  const program = { name: "Once", signature: { text: "question -> answer" } };
  const gateways = [one, two, one, two];
  const programs = await Promise.all(
    gateways.map((gateway) => gateway.programs.createProgram({ program, requestId })),
  );
  t.is(new Set(programs.map((made) => made.program?.id)).size, 1);
  const pending = await Promise.all(
    gateways.map(({ executions }) => executions.createExecution({ programId, inputs, requestId })),
  );
  t.is(new Set(pending.map((made) => made.execution?.id)).size, 1);
  const running = await Promise.all(
    gateways.map(({ executions }) => executions.startExecution({ programId, inputs, requestId })),
  );
  t.is(new Set(running.map((made) => made.execution?.id)).size, 1);
  for (const call of [
    two.programs.createProgram({ program: { ...program, name: "Twice" }, requestId }),
    two.executions.createExecution({ programId, inputs: { question: "?" }, requestId }),
    two.executions.startExecution({ programId, inputs: { question: "?" }, requestId }),
  ])
    t.like(await failure(t, call), { code: Code.AlreadyExists, reason: "REQUEST_ID_REUSED" });
});

test("what is no UUID is no request_id", async (t) => {
  const { one, programId } = t.context;
  for (const requestId of ["x", "00000000-0000-0000-0000-00000000000g", `${randomUUID()} `])
    t.like(await failure(t, one.programs.executeProgram({ programId, inputs, requestId })), {
      code: Code.InvalidArgument,
      paths: ["request_id"],
    });
});

test("whoever waits for a run whose gateway is killed is told that it was interrupted", async (t) => {
  t.timeout(90_000);
  const { one, two, model, programId } = t.context;
  model.script({ hang: true });
  const asked = model.requests.length;
  const request = { programId, inputs, requestId: randomUUID() };
  one.programs.executeProgram(request).catch(() => {});
  await until(() => model.requests.length > asked);
  const second = two.programs.executeProgram(request, { timeoutMs: 60_000 });
  one.process.kill("SIGKILL");
  t.like(await failure(t, second), { code: Code.Unavailable, reason: "INTERRUPTED" });
});
