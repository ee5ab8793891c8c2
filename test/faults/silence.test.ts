import { createClient } from "@connectrpc/connect";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/gen/grpc/health/v1/health_pb.ts";
import { ExecutionStatus } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { failure } from "../_errors.ts";
import { type Gateway, shared, startGateway, startScripted } from "../_gateway.ts";
import type { ScriptedModel } from "../_model.ts";
import { startProxy } from "../_proxy.ts";
import { until } from "../_wait.ts";

type Context = {
  gateway: Gateway;
  model: ScriptedModel;
  proxy: Awaited<ReturnType<typeof startProxy>>;
  programId: string;
};
const test = anyTest.serial as TestFn<Context>;
const file = shared(anyTest);
const inputs = { question: "?" };
const paris = { fields: { answer: "Paris" } };
/** The default deadline of a read is shorter than the time-out. */
const patient = { timeoutMs: 60_000 };
/** What a caller is promised. */
const maxAnswerMs = 10_000;

test.before(async (t) => {
  const { env, model } = await startScripted(file);
  const url = new URL(env.DATABASE_URL);
  const proxy = await startProxy(Number(url.port));
  file.teardown(proxy.close);
  url.port = String(proxy.port);
  const gateway = await startGateway(file, { ...env, DATABASE_URL: url.href });
  model.script(paris);
  const signature = { text: "question -> answer" };
  const { program } = await gateway.programs.createProgram({ program: { name: "Capital", signature } });
  t.context = { gateway, model, proxy, programId: program?.id ?? "" };
});

async function timed<T>(work: Promise<T>): Promise<{ result: T; tookMs: number }> {
  const began = performance.now();
  return { result: await work, tookMs: performance.now() - began };
}

const isServing = async ({ transport }: Gateway) =>
  (await createClient(Health, transport).check({ service: "" })).status === Status.SERVING;

const runs = ({ gateway, programId }: Context, count: number) =>
  Promise.all(
    Array.from({ length: count }, () =>
      gateway.programs.executeProgram({ programId, inputs }).catch((error: unknown) => error),
    ),
  );

/** A call in JSON whose deadline only the gateway knows. */
async function post({ url }: Gateway, method: string, body: object, timeoutMs: number): Promise<string> {
  const response = await fetch(`${url}/sigrun.v1.${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", "connect-timeout-ms": String(timeoutMs) },
    body: JSON.stringify(body),
  });
  return ((await response.json()) as { code: string }).code;
}

test("while the database hangs every caller has its answer within 10 s or its deadline, and what ended is recorded", async (t) => {
  const { gateway, model, proxy, programId } = t.context;
  await runs(t.context, 8);
  let answer = () => {};
  const asked = model.requests.length;
  model.script({ ...paris, after: new Promise<void>((resolve) => (answer = resolve)) });
  const running = timed(failure(t, gateway.programs.executeProgram({ programId, inputs })));
  await until(() => model.requests.length > asked);
  model.script(paris);

  proxy.hang();
  answer();
  const execute = () => failure(t, gateway.programs.executeProgram({ programId, inputs }));
  const answers = [
    running,
    ...[execute(), execute()].map(timed),
    timed(failure(t, gateway.programs.getProgram({ id: programId }, patient))),
    timed(failure(t, gateway.programs.listPrograms({}, patient))),
    timed(failure(t, gateway.executions.listExecutions({}, patient))),
  ];
  const late = await timed(post(gateway, "ProgramService/ExecuteProgram", { programId, inputs }, 1_000));
  t.is(late.result, "deadline_exceeded");
  t.true(late.tookMs < 2_500, `${late.tookMs} ms`);
  for (const { result, tookMs } of await Promise.all(answers)) {
    t.is(result.reason, "STORE_UNAVAILABLE");
    t.true(tookMs < maxAnswerMs, `${tookMs} ms`);
  }
  await until(async () => !(await isServing(gateway)));

  proxy.restore();
  await until(() => isServing(gateway));
  t.is((await runs(t.context, 8)).filter((one) => one instanceof Error).length, 0);
  await noneRuns(t);
});

/** Waits until no execution is on record as running. */
async function noneRuns({ context: { gateway } }: ExecutionContext<Context>): Promise<void> {
  await until(async () => {
    const { executions } = await gateway.executions.listExecutions({ filter: "status = RUNNING" });
    return executions.length === 0;
  });
}

test("connections that a firewall forgot are found within 10 s, and all of them at once", async (t) => {
  const { gateway, model, proxy, programId } = t.context;
  // Opens as many connections as the pool has.
  await Promise.all([
    runs(t.context, 40),
    ...Array.from({ length: 20 }, () => gateway.programs.listPrograms({})),
  ]);
  let answer = () => {};
  const asked = model.requests.length;
  model.script({ ...paris, after: new Promise<void>((resolve) => (answer = resolve)) });
  const running = gateway.programs.executeProgram({ programId, inputs });
  await until(() => model.requests.length > asked);
  model.script(paris);

  proxy.lose();
  answer();
  const ended = await timed(running);
  t.is(ended.result.execution?.status, ExecutionStatus.COMPLETED);
  t.true(ended.tookMs < maxAnswerMs, `${ended.tookMs} ms`);
  const next = await timed(runs(t.context, 20));
  t.is(next.result.filter((one) => one instanceof Error).length, 0);
  t.true(next.tookMs < 2_000, `${next.tookMs} ms`);
});

test("a commit that hangs holds its own runs alone", async (t) => {
  const { gateway, model, proxy, programId } = t.context;
  model.script(paris);
  await runs(t.context, 1);
  proxy.lose();
  const held = gateway.programs.executeProgram({ programId, inputs }).catch(() => undefined);
  // The next commit takes a connection of its own, and so on, until one of them is new.
  const others = await timed(
    until(() => gateway.programs.executeProgram({ programId, inputs }).catch(() => undefined)),
  );
  t.true(others.tookMs < maxAnswerMs, `${others.tookMs} ms`);
  await held;
  await noneRuns(t);
});
