import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import test from "ava";
import { ExecutionStatus } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { failure } from "../_errors.ts";
import { type Gateway, prepareScripted, startGateway, startScripted } from "../_gateway.ts";
import { startProxy } from "../_proxy.ts";
import { until } from "../_wait.ts";

const signature = { text: "question -> answer" };
const inputs = { question: "?" };
const paris = { fields: { answer: "Paris" } };

async function create({ programs }: Gateway): Promise<string> {
  const { program } = await programs.createProgram({ program: { name: "Capital", signature } });
  return program?.id ?? "";
}

function childOf(pid: number | undefined, name: string): number | undefined {
  try {
    return Number(
      execFileSync("pgrep", ["-P", String(pid), "-f", name], { encoding: "utf8" })
        .trim()
        .split("\n")[0],
    );
  } catch {
    return undefined;
  }
}

test("no call fails while a killed sidecar comes back, and a call that leaves meanwhile ends at once", async (t) => {
  const { gateway, model } = await startScripted(t, { SIGRUN_WORKERS: "2" });
  model.script(paris);
  const programId = await create(gateway);
  const run = (timeoutMs: number) => gateway.programs.executeProgram({ programId, inputs }, { timeoutMs });
  await run(5_000);

  let isBack = false;
  const answers: Promise<unknown>[] = [];
  process.kill(childOf(gateway.process.pid, "dspy_sidecar") ?? 0, "SIGKILL");
  const hasLeft = until(() => gateway.log().includes("the sidecar is away")).then(() =>
    t.throwsAsync(run(100), { instanceOf: ConnectError, code: Code.DeadlineExceeded }),
  );
  const returned = until(() => gateway.log().split("a sidecar worker is connected").length > 3).then(() => {
    isBack = true;
  });
  while (!isBack) {
    answers.push(run(30_000));
    await Promise.race([returned, sleep(100)]);
  }
  await hasLeft;
  t.true(answers.length > 4);
  await t.notThrowsAsync(Promise.all(answers));
});

test("a run is refused as SIDECAR_UNAVAILABLE, without a record, after 20 s without a sidecar", async (t) => {
  const { gateway, model } = await startScripted(t, { SIGRUN_WORKERS: "1" });
  model.script(paris);
  const programId = await create(gateway);
  const stopped = childOf(gateway.process.pid, "dspy_sidecar") ?? 0;
  // A sidecar that is killed at every start.
  const killing = setInterval(() => {
    const pid = childOf(gateway.process.pid, "dspy_sidecar");
    if (pid) process.kill(pid, "SIGKILL");
  }, 100);
  t.teardown(() => clearInterval(killing));
  await until(() => !isAlive(stopped) && gateway.log().includes("the sidecar is away"));
  const began = Date.now();
  t.is(
    (await failure(t, gateway.programs.executeProgram({ programId, inputs }))).reason,
    "SIDECAR_UNAVAILABLE",
  );
  t.true(Date.now() - began > 19_000);
  t.deepEqual((await gateway.executions.listExecutions({})).executions, []);
});

test("another gateway fails the runs of a killed one as INTERRUPTED, and serves its programs", async (t) => {
  const { gateway, model, env } = await startScripted(t, { SIGRUN_DATABASE_SCHEMA: "public" });
  model.script({ hang: true });
  const programId = await create(gateway);
  gateway.programs.executeProgram({ programId, inputs }).catch(() => {});
  const running = await until(async () => (await gateway.executions.listExecutions({})).executions[0]);
  await until(() => model.requests.length > 0);
  const sidecar = childOf(gateway.process.pid, "dspy_sidecar");
  gateway.process.kill("SIGKILL");
  await until(() => !isAlive(sidecar));

  const next = await startGateway(t, { ...env, SIGRUN_DATABASE_SCHEMA: "public" });
  const record = await until(async () => {
    const { execution } = await next.executions.getExecution({ id: running.id });
    return execution?.status === ExecutionStatus.RUNNING ? undefined : execution;
  });
  t.is(record.status, ExecutionStatus.FAILED);
  t.is(record.errorReason, "INTERRUPTED");
  model.script(paris);
  t.deepEqual((await next.programs.executeProgram({ programId, inputs })).outputs, { answer: "Paris" });
});

test("a gateway that stops lets running executions end, records them, and leaves no process", async (t) => {
  const { gateway, model, env } = await startScripted(t, { SIGRUN_DATABASE_SCHEMA: "public" });
  let answer = () => {};
  model.script({ ...paris, after: new Promise<void>((resolve) => (answer = resolve)) });
  const call = gateway.programs.executeProgram({ programId: await create(gateway), inputs });
  await until(() => model.requests.length > 0);
  const sidecar = childOf(gateway.process.pid, "dspy_sidecar");

  const stopped = gateway.stop();
  const late = startGateway(t, { ...env, SIGRUN_DATABASE_SCHEMA: "public" });
  answer();
  const { execution } = await call;
  t.is(await stopped, 0);
  t.false(isAlive(sidecar));
  const { execution: record } = await (await late).executions.getExecution({ id: execution?.id ?? "" });
  t.is(record?.status, ExecutionStatus.COMPLETED);
});

test("while the database is unreachable calls are UNAVAILABLE, and a run that ends is recorded later", async (t) => {
  const { env, model } = await prepareScripted(t);
  const url = new URL(env.DATABASE_URL);
  const proxy = await startProxy(Number(url.port));
  t.teardown(proxy.close);
  url.port = String(proxy.port);
  const gateway = await startGateway(t, { ...env, DATABASE_URL: url.href });
  let answer = () => {};
  model.script({ ...paris, after: new Promise<void>((resolve) => (answer = resolve)) });
  const programId = await create(gateway);
  const call = failure(t, gateway.programs.executeProgram({ programId, inputs }));
  await until(() => model.requests.length > 0);

  proxy.cut();
  const unavailable = await failure(t, gateway.programs.getProgram({ id: programId }));
  t.is(unavailable.code, Code.Unavailable);
  t.is(unavailable.reason, "STORE_UNAVAILABLE");
  answer();
  t.is((await call).reason, "STORE_UNAVAILABLE");

  proxy.restore();
  const record = await until(async () => {
    const { executions } = await gateway.executions.listExecutions({}).catch(() => ({ executions: [] }));
    return executions[0]?.status === ExecutionStatus.COMPLETED && executions[0];
  });
  t.is(record.programId, programId);
});

function isAlive(pid: number | undefined): boolean {
  try {
    process.kill(pid ?? 0, 0);
    return true;
  } catch {
    return false;
  }
}
