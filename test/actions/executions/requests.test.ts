import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { listen } from "../../_database.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startTwo, type TwoGateways } from "../../_gateway.ts";
import { until } from "../../_wait.ts";

// request_ids over two gateways on one database. Serial: the tests share a model.
const test = anyTest.serial as TestFn<TwoGateways & { programId: string }>;
const file = shared(anyTest);
const inputs = { question: "Where?" };
test.before(async (t) => {
  const gateways = await startTwo(file);
  const { program } = await gateways.one.programs.createProgram({
    program: { name: "Asked", signature: { text: "question -> answer" } },
  });
  t.context = { ...gateways, programId: program?.id ?? "" };
});
test.beforeEach(({ context }) => context.model.script({ fields: { answer: "here" } }));

/** A promise, and the function that resolves it. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Calls StreamProgram; resolves when the call waits for the run, with its answer's promise. */
async function waitIn(
  { programs }: Gateway,
  request: { programId: string; inputs: JsonObject; requestId: string },
  timeoutMs?: number,
) {
  const events = programs
    .streamProgram(request, timeoutMs === undefined ? {} : { timeoutMs })
    [Symbol.asyncIterator]();
  const { value: started } = await events.next();
  const answer = async () => {
    for (;;) {
      const { value } = await events.next();
      if (value?.event.case === "done") return value.event.value;
    }
  };
  const done = answer();
  done.catch(() => {});
  return { id: started?.event.case === "started" ? started.event.value.id : "", done };
}

test("callers of two gateways with one request_id share one run", async (t) => {
  const { one, two, model, programId } = t.context;
  const { opened, open } = gate();
  model.script({ fields: { answer: "here" }, after: opened });
  const requestsBefore = model.requests.length;
  const request = { programId, inputs, requestId: randomUUID() };
  const calls = [one, two, one, two, two].map(({ programs }) => programs.executeProgram(request));
  await until(() => model.requests.length > requestsBefore);
  open();
  const answers = await Promise.all(calls);
  t.is(new Set(answers.map(({ execution }) => execution?.id)).size, 1);
  t.deepEqual(
    answers.map(({ outputs }) => outputs),
    answers.map(() => ({ answer: "here" })),
  );
  t.is(model.requests.length, requestsBefore + 1);
});

test("a run whose own caller leaves goes on while a caller waits at another gateway", async (t) => {
  const { one, two, model, programId } = t.context;
  const { opened, open } = gate();
  model.script({ fields: { answer: "here" }, after: opened });
  const requestsBefore = model.requests.length;
  const request = { programId, inputs, requestId: randomUUID() };
  const leave = new AbortController();
  const first = one.programs.executeProgram(request, { signal: leave.signal });
  await until(() => model.requests.length > requestsBefore);
  const heard = await listen(t, t.context.url, "sigrun");
  const second = two.programs.executeProgram(request);
  second.catch(() => {});
  await heard('"kind":"wait"');
  await one.executions.listExecutions({});
  leave.abort();
  await t.throwsAsync(first);
  open();
  t.deepEqual((await second).outputs, { answer: "here" });
  t.is(model.requests.length, requestsBefore + 1);
});

test("each caller of a run waits until its own deadline, and the run goes on for the others", async (t) => {
  const { one, two, model, programId } = t.context;
  const { opened, open } = gate();
  model.script({ fields: { answer: "here" }, after: opened });
  const requestsBefore = model.requests.length;
  const request = { programId, inputs, requestId: randomUUID() };
  const first = await waitIn(one, request, 2_000);
  const second = await waitIn(one, request, 3_000);
  const others = [await waitIn(one, request), await waitIn(two, request)];
  for (const { done } of [first, second]) t.like(await failure(t, done), { code: Code.DeadlineExceeded });
  open();
  for (const { done } of others) t.deepEqual((await done).outputs, { answer: "here" });
  t.is(model.requests.length, requestsBefore + 1);
});

test("a run ends as DEADLINE_EXCEEDED at the deadline of its last caller", async (t) => {
  const { one, model, programId } = t.context;
  model.script({ hang: true });
  const aborted = model.aborted();
  const request = { programId, inputs, requestId: randomUUID() };
  const first = await waitIn(one, request, 1_000);
  const last = await waitIn(one, request, 2_000);
  for (const { done } of [first, last]) t.like(await failure(t, done), { code: Code.DeadlineExceeded });
  await until(() => model.aborted() > aborted);
  const record = await until(async () => {
    const { execution } = await one.executions.getExecution({ id: first.id });
    return execution?.completedAt && execution;
  });
  t.is(last.id, first.id);
  t.is(record.errorReason, "DEADLINE_EXCEEDED");
});

test("a failed run is replayed with the same fault by any gateway", async (t) => {
  const { one, two, model, programId } = t.context;
  model.script({ text: "no" });
  const request = { programId, inputs, requestId: randomUUID() };
  const first = await failure(t, one.programs.executeProgram(request));
  model.script({ fields: { answer: "here" } });
  const requestsBefore = model.requests.length;
  const second = await failure(t, two.programs.executeProgram(request));
  t.deepEqual(second, first);
  t.is(second.reason, "OUTPUT_INVALID");
  t.is(model.requests.length, requestsBefore);
});

test("refuses a request_id with another request, whichever field differs", async (t) => {
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

test("a repeated call gets its run even if the program now takes other inputs", async (t) => {
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

test("a call that is refused before its record leaves its request_id unused", async (t) => {
  const { one, two, programId } = t.context;
  const requestId = randomUUID();
  t.like(await failure(t, one.programs.executeProgram({ programId, inputs: {}, requestId })), {
    code: Code.InvalidArgument,
  });
  t.deepEqual((await two.programs.executeProgram({ programId, inputs, requestId })).outputs, {
    answer: "here",
  });
});

test("one request_id may be used once per method", async (t) => {
  const { one, programId } = t.context;
  const requestId = randomUUID();
  const executed = await one.programs.executeProgram({ programId, inputs, requestId });
  const created = await one.executions.createExecution({ programId, inputs, requestId });
  const started = await one.executions.startExecution({ programId, inputs, requestId });
  t.is(new Set([executed.execution?.id, created.execution?.id, started.execution?.id]).size, 3);
});

test("programs, pending records and running records are made once per request_id, over two gateways", async (t) => {
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

test("refuses a request_id that is not a UUID", async (t) => {
  const { one, programId } = t.context;
  for (const requestId of ["x", "00000000-0000-0000-0000-00000000000g", `${randomUUID()} `])
    t.like(await failure(t, one.programs.executeProgram({ programId, inputs, requestId })), {
      code: Code.InvalidArgument,
      paths: ["request_id"],
    });
});

test("a caller that waits for a run of a gateway that is killed gets INTERRUPTED", async (t) => {
  t.timeout(90_000);
  const { one, two, model, programId } = t.context;
  model.script({ hang: true });
  const requestsBefore = model.requests.length;
  const request = { programId, inputs, requestId: randomUUID() };
  one.programs.executeProgram(request).catch(() => {});
  await until(() => model.requests.length > requestsBefore);
  const second = two.programs.executeProgram(request, { timeoutMs: 60_000 });
  one.process.kill("SIGKILL");
  t.like(await failure(t, second), { code: Code.Unavailable, reason: "INTERRUPTED" });
});
