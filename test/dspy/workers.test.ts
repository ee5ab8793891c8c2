import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { DeadlineExceeded, SidecarUnavailable, TooLarge } from "../../src/domain/faults.ts";
import { startSidecarChild } from "../../src/dspy/child.ts";
import { NotStarted } from "../../src/dspy/faults.ts";
import { createWorkers } from "../../src/dspy/workers.ts";
import { Scalar } from "../../src/gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import { createLogger } from "../../src/telemetry.ts";
import { type Gateway, shared, startGateway, startPostgres, startScripted } from "../_gateway.ts";
import { type ScriptedModel, startModel } from "../_model.ts";
import { until } from "../_wait.ts";

const signature = { text: "question -> answer" };
const inputs = { question: "?" };
const paris = { fields: { answer: "Paris" } };
const dir = fileURLToPath(new URL("../../sidecar", import.meta.url));

/** The model of the sidecars that run in this process, which get its environment. */
let model: ScriptedModel;
const file = shared(test);
test.before(async () => {
  model = await startModel();
  file.teardown(model.close);
  Object.assign(process.env, {
    SIGRUN_LM: "openai/scripted",
    SIGRUN_LM_API_BASE: model.url,
    OPENAI_API_KEY: "test",
  });
});

async function create({ programs }: Gateway): Promise<string> {
  const { program } = await programs.createProgram({ program: { name: "Capital", signature } });
  return program?.id ?? "";
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);

const isSidecar = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("dspy_sidecar");

/** The pids of the worker processes, which are children of the sidecar's parent process. */
function workersOf(gateway: Gateway): number[] {
  const parent = childrenOf(gateway.process.pid ?? 0).find(isSidecar);
  return parent === undefined ? [] : childrenOf(parent);
}

/** How often a worker has connected so far. */
const connections = (gateway: Gateway) => gateway.log().split("a sidecar worker is connected").length - 1;

const connectedWorkers = async ({ admin }: Gateway) => (await admin.getServerInfo({})).sidecarWorkers;

test("if a worker dies, the others take its calls, no call fails, and the worker is replaced", async (t) => {
  const { gateway, model } = await startScripted(t, { SIGRUN_WORKERS: "3" });
  await until(async () => (await connectedWorkers(gateway)) === 3);
  let answer = () => {};
  model.script({ ...paris, after: new Promise<void>((resolve) => (answer = resolve)) });
  const programId = await create(gateway);
  const calls = Array.from({ length: 9 }, () => gateway.programs.executeProgram({ programId, inputs }));
  await until(() => model.requests.length === 9);

  const [first = 0, ...others] = workersOf(gateway);
  process.kill(first, "SIGKILL");
  // Its three calls are retried on the others.
  await until(() => model.requests.length === 12);
  answer();
  for (const { outputs } of await Promise.all(calls)) t.deepEqual(outputs, { answer: "Paris" });

  await until(() => connections(gateway) === 4);
  t.is(await connectedWorkers(gateway), 3);
  const now = workersOf(gateway);
  t.is(now.length, 3);
  t.deepEqual(
    others.filter((pid) => !now.includes(pid)),
    [],
  );
});

test("answers every call while workers die one after another", async (t) => {
  const { gateway, model } = await startScripted(t, { SIGRUN_WORKERS: "2" });
  await until(async () => (await connectedWorkers(gateway)) === 2);
  model.script(paris);
  const programId = await create(gateway);
  let done = 0;
  let dying = true;
  const caller = async () => {
    for (; dying; done++) await gateway.programs.executeProgram({ programId, inputs });
  };
  let fault: unknown;
  const callers = Promise.all(Array.from({ length: 8 }, caller)).catch((error: unknown) => {
    fault = error;
  });
  for (let round = 0; round < 4; round++) {
    const before = done;
    await until(() => done > before + 10 || fault);
    process.kill(workersOf(gateway)[round % 2] ?? 0, "SIGKILL");
    await until(() => connections(gateway) === 3 + round);
  }
  dying = false;
  await callers;
  t.is(fault, undefined);
});

test("calls go to the least busy worker, and are retried once if it dies", async (t) => {
  const workers = await startWorkers(t, 3);
  t.is(workers.info()?.workers, 3);

  model.script({ hang: true });
  const end = new AbortController();
  const request = {
    inputs: Buffer.from("{}"),
    program: { id: "p", signature: {}, modules: [{ name: "m", type: "Predict", signature: one() }] },
  };
  const runs = Array.from({ length: 9 }, () =>
    workers.call((worker) => worker.run(request, () => undefined, end.signal), plain),
  );
  await until(() => model.requests.length === 9);
  t.deepEqual(
    workers.connected().map((worker) => worker.callsInFlight()),
    [3, 3, 3],
  );

  // A request that is too large must not be sent: it would end the call that all runs share.
  const large = { ...request, inputs: Buffer.alloc(17 * 2 ** 20, " ") };
  await t.throwsAsync(
    workers.call((worker) => worker.run(large, () => undefined, end.signal), plain),
    { instanceOf: TooLarge },
  );
  t.is(
    workers.connected().reduce((sum, worker) => sum + worker.callsInFlight(), 0),
    9,
  );
  end.abort();
  await Promise.allSettled(runs);

  // The call itself may be what kills workers, so it is tried on two of them and no more.
  const tried: string[] = [];
  const deadly = async ({ target }: { target: string }) => {
    tried.push(target);
    throw new SidecarUnavailable();
  };
  await t.throwsAsync(workers.call(deadly, plain), { instanceOf: SidecarUnavailable });
  t.is(tried.length, 2);
  t.is(new Set(tried).size, 2);
  t.deepEqual(
    workers.connected().map((worker) => worker.callsInFlight()),
    [0, 0, 0],
  );
});

test("a call that may have effects is sent to one worker alone, unless the worker refuses it", async (t) => {
  const workers = await startWorkers(t, 2);
  const tried: string[] = [];
  const failing = (error: Error) => async (worker: { target: string }) => {
    tried.push(worker.target);
    throw error;
  };
  const call = { isRepeatable: false };
  await t.throwsAsync(workers.call(failing(new SidecarUnavailable()), call), {
    instanceOf: SidecarUnavailable,
  });
  t.is(tried.length, 1);
  const end = new AbortController();
  setTimeout(() => end.abort(new DeadlineExceeded()), 1_000);
  const refused = workers.call(failing(new NotStarted()), { ...call, signal: end.signal });
  await t.throwsAsync(refused, { instanceOf: DeadlineExceeded });
  t.is(new Set(tried).size, 2);
});

const plain = { isRepeatable: true };

async function startWorkers(t: ExecutionContext, count: number) {
  const log = createLogger("error");
  const child = await startSidecarChild({ dir, workers: count, mcpServers: undefined, log });
  t.teardown(child.stop);
  const workers = createWorkers({ targets: child.targets, log, onChange: () => {} });
  t.teardown(workers.close);
  await until(() => workers.connected().length === count);
  return workers;
}

const one = () => ({
  name: "S",
  outputs: [{ name: "answer", type: { kind: { case: "scalar" as const, value: Scalar.STR } } }],
});

test("a program is loaded into every worker that runs it, and is listed once", async (t) => {
  const { gateway, model } = await startScripted(t, { SIGRUN_WORKERS: "2" });
  await until(async () => (await connectedWorkers(gateway)) === 2);
  model.script(paris);
  const programId = await create(gateway);
  for (let n = 0; n < 4; n++)
    t.deepEqual((await gateway.programs.executeProgram({ programId, inputs })).outputs, { answer: "Paris" });
  const other = await create(gateway);
  await gateway.programs.executeProgram({ programId: other, inputs });
  const { programs } = await gateway.admin.listLoadedPrograms({});
  t.deepEqual(
    programs.map(({ type }) => type),
    ["Predict"],
  );
});

test("the gateway reaches an external sidecar by one target for each worker", async (t) => {
  const model = await startModel();
  t.teardown(model.close);
  const lm = { SIGRUN_LM: "openai/scripted", SIGRUN_LM_API_BASE: model.url, OPENAI_API_KEY: "test" };
  const port = await twoFreePorts();
  const sidecar = spawn(
    join(dir, ".venv/bin/python"),
    ["-m", "dspy_sidecar", "--listen", `127.0.0.1:${port}`, "--exit-with-stdin"],
    {
      cwd: dir,
      env: { ...process.env, ...lm, SIGRUN_WORKERS: "2" },
      stdio: ["pipe", "ignore", "ignore"],
    },
  );
  t.teardown(() => sidecar.stdin?.end());
  const targets = `127.0.0.1:${port}, 127.0.0.1:${port + 1}`;
  const gateway = await startGateway(t, {
    ...lm,
    DATABASE_URL: await startPostgres(t),
    SIGRUN_SIDECAR: targets,
  });
  await until(async () => (await connectedWorkers(gateway)) === 2);
  model.script(paris);
  t.deepEqual((await gateway.programs.executeProgram({ programId: await create(gateway), inputs })).outputs, {
    answer: "Paris",
  });
});

/** The first of two consecutive free ports. */
async function twoFreePorts(): Promise<number> {
  const listen = (port: number) =>
    new Promise<number | undefined>((resolve) => {
      const server = createServer().once("error", () => resolve(undefined));
      server.listen(port, "127.0.0.1", () => {
        const { port: got } = server.address() as { port: number };
        server.close(() => resolve(got));
      });
    });
  for (;;) {
    const port = (await listen(0)) ?? 0;
    if (await listen(port + 1)) return port;
  }
}
