import { execFileSync } from "node:child_process";
import { Code } from "@connectrpc/connect";
import test from "ava";
import { ExecutionStatus } from "../src/gen/sigrun/v1/execution_service_pb.ts";
import { failure } from "./_errors.ts";
import { type Gateway, prepareScripted, startGateway, startScripted } from "./_gateway.ts";
import { startProxy } from "./_proxy.ts";
import { until } from "./_wait.ts";

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

test("calls fail at once after the sidecar is killed, and succeed after it has restarted by itself", async (t) => {
  const { gateway, model } = await startScripted(t);
  model.script(paris);
  const programId = await create(gateway);
  await gateway.programs.executeProgram({ programId, inputs });

  process.kill(childOf(gateway.process.pid, "dspy_sidecar") ?? 0, "SIGKILL");
  const refused = await until(async () => {
    const began = Date.now();
    const outcome = await gateway.programs
      .executeProgram({ programId, inputs })
      .catch((error: unknown) => error);
    return outcome instanceof Error && { error: outcome, tookMs: Date.now() - began };
  });
  t.is((await failure(t, Promise.reject(refused.error))).reason, "SIDECAR_UNAVAILABLE");
  t.true(refused.tookMs < 2_000);

  const { outputs } = await until(() =>
    gateway.programs.executeProgram({ programId, inputs }).catch(() => undefined),
  );
  t.deepEqual(outputs, { answer: "Paris" });
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
