import { randomUUID } from "node:crypto";
import anyTest, { type TestFn } from "ava";
import { ExecutionStatus } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { failure } from "../_errors.ts";
import { type Gateway, shared, startGateway, startScripted } from "../_gateway.ts";
import type { ScriptedModel } from "../_model.ts";
import { until } from "../_wait.ts";

// Runs whose gateway was killed, asked for again. Serial: the tests share a model.
const test = anyTest.serial as TestFn<{
  survivor: Gateway;
  start(): Promise<Gateway>;
  model: ScriptedModel;
  programId: string;
}>;
const file = shared(anyTest);
const inputs = { question: "Where?" };
const schema = {
  SIGRUN_DATABASE_SCHEMA: "attempts",
  SIGRUN_WORKERS: "1",
  SIGRUN_GENERATED_CODE: "on",
};
test.before(async (t) => {
  const { gateway, model, env } = await startScripted(file, schema);
  const { program } = await gateway.programs.createProgram({
    program: { name: "Asked", signature: { text: "question -> answer" } },
  });
  const start = () => startGateway(file, { ...env, ...schema });
  t.context = { survivor: gateway, start, model, programId: program?.id ?? "" };
});

type Request = { programId: string; inputs: { question: string }; requestId: string };

/** Starts a run on a gateway of its own, kills that gateway, and returns the INTERRUPTED record. */
async function interrupt(
  context: { survivor: Gateway; start(): Promise<Gateway>; model: ScriptedModel },
  request: Request,
) {
  const { survivor, model } = context;
  const victim = await context.start();
  model.script({ hang: true });
  const before = model.requests.length;
  victim.programs
    .executeProgram({ ...request, labels: { team: "a" } }, { timeoutMs: 60_000 })
    .catch(() => {});
  await until(() => model.requests.length > before);
  victim.process.kill("SIGKILL");
  return until(async () => {
    const { executions } = await survivor.executions.listExecutions({
      filter: `request_id = "${request.requestId}"`,
    });
    return executions[0]?.status === ExecutionStatus.FAILED && executions[0];
  });
}

test("an INTERRUPTED run is run again once, under its own record, however many callers ask at two gateways", async (t) => {
  const { survivor, start, model, programId } = t.context;
  const request = { programId, inputs, requestId: randomUUID() };
  const other = await start();
  const failed = await interrupt(t.context, request);
  t.is(failed.attempt, 1);
  t.is(failed.errorReason, "INTERRUPTED");
  // Another revision is the program's current one by now.
  await survivor.programs.updateProgram({ program: { id: programId, description: "changed" } });

  model.script({ fields: { answer: "here" } });
  const before = model.requests.length;
  const again = { ...request, labels: { team: "a" } };
  const answers = await Promise.all(
    [survivor, other, survivor, other].map(({ programs }) => programs.executeProgram(again)),
  );
  t.is(model.requests.length, before + 1);
  for (const { execution, outputs } of answers) {
    t.deepEqual(outputs, { answer: "here" });
    t.like(execution, {
      id: failed.id,
      attempt: 2,
      status: ExecutionStatus.COMPLETED,
      errorReason: "",
      errorMessage: "",
    });
  }
  const { execution } = await other.executions.getExecution({ id: failed.id });
  t.like(execution, {
    revision: failed.revision,
    labels: { team: "a" },
    createdAt: failed.createdAt,
    requestId: request.requestId,
    inputs,
    outputs: { answer: "here" },
  });
  t.true((execution?.startedAt?.seconds ?? 0n) > (failed.startedAt?.seconds ?? 0n));
  t.true((execution?.durationMs ?? 1e9) < 10_000n);
  const { executions } = await survivor.executions.listExecutions({ filter: "attempt = 2" });
  t.deepEqual(
    executions.map(({ id }) => id),
    [failed.id],
  );
  // A completed run is never run again.
  await survivor.programs.executeProgram(again);
  t.is(model.requests.length, before + 1);
});

test("a watch tells every status of every attempt, also to a watcher that comes late", async (t) => {
  const { survivor, model, programId } = t.context;
  const events = survivor.executions.watchExecutions({})[Symbol.asyncIterator]();
  const first = await events.next();
  const token = first.value?.resumeToken ?? "";
  const request = { programId, inputs, requestId: randomUUID() };
  const failed = await interrupt(t.context, request);
  model.script({ fields: { answer: "here" } });
  await survivor.programs.executeProgram({ ...request, labels: { team: "a" } });
  const told: unknown[] = [];
  for await (const { event } of survivor.executions.watchExecutions({ resumeToken: token })) {
    if (event.case !== "execution" || event.value.id !== failed.id) continue;
    const { status, attempt, errorReason, completedAt, tokenUsage } = event.value;
    told.push([status, attempt, errorReason, completedAt !== undefined, Number(tokenUsage?.lmCalls)]);
    if (status === ExecutionStatus.COMPLETED) break;
  }
  t.deepEqual(told, [
    [ExecutionStatus.RUNNING, 1, "", false, 0],
    [ExecutionStatus.FAILED, 1, "INTERRUPTED", true, 0],
    [ExecutionStatus.RUNNING, 2, "", false, 0],
    [ExecutionStatus.COMPLETED, 2, "", true, 1],
  ]);
  await events.return?.();
});

test("a batch item is run again as well, and a stream gets the failure that is on record", async (t) => {
  const { survivor, model, start, programId } = t.context;
  const ids = [randomUUID(), randomUUID()] as const;
  const victim = await start();
  model.script({ hang: true });
  const before = model.requests.length;
  const batch = { programId, items: [{ inputs, requestId: ids[0] }] };
  const consume = async (answers: AsyncIterable<unknown>) => {
    for await (const _ of answers);
  };
  consume(victim.programs.batchExecuteProgram(batch)).catch(() => {});
  const stream = { programId, inputs, requestId: ids[1] };
  consume(victim.programs.streamProgram(stream)).catch(() => {});
  await until(() => model.requests.length === before + 2);
  victim.process.kill("SIGKILL");
  await until(async () => {
    const filter = `error_reason = INTERRUPTED AND (request_id = "${ids[0]}" OR request_id = "${ids[1]}")`;
    return (await survivor.executions.listExecutions({ filter })).executions.length === 2;
  });
  model.script({ fields: { answer: "here" } });
  for await (const { result } of survivor.programs.batchExecuteProgram(batch)) {
    t.is(result.case, "response");
    t.is(result.case === "response" ? result.value.execution?.attempt : 0, 2);
  }
  t.is((await failure(t, consume(survivor.programs.streamProgram(stream)))).reason, "INTERRUPTED");
});

test("a run that executes code which the model writes is not run again", async (t) => {
  const { survivor, model } = t.context;
  const { program } = await survivor.programs.createProgram({
    program: {
      name: "Coding",
      signature: { text: "question -> answer" },
      modules: [{ name: "code", type: "ProgramOfThought" }],
    },
  });
  const request = { programId: program?.id ?? "", inputs, requestId: randomUUID() };
  const failed = await interrupt(t.context, request);
  const before = model.requests.length;
  const again = survivor.programs.executeProgram({ ...request, labels: { team: "a" } });
  t.is((await failure(t, again)).reason, "INTERRUPTED");
  t.is(model.requests.length, before);
  t.is((await survivor.executions.getExecution({ id: failed.id })).execution?.attempt, 1);
});
