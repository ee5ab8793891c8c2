import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import anyTest, { type TestFn } from "ava";
import { OptimizationStatus } from "../../../src/gen/sigrun/v1/optimization_service_pb.ts";
import { openStore } from "../../../src/store/store.ts";
import { createLogger } from "../../../src/telemetry.ts";
import { type Gateway, startGateway, startScripted, type Teardown } from "../../_gateway.ts";
import type { Asked, Reply } from "../../_model.ts";
import { createMoods, ended, learning, sentences } from "../../_moods.ts";
import { until } from "../../_wait.ts";

const test = anyTest.serial as TestFn;
/** The queue notices a dead gateway after 10 s or more, and each test starts its own gateways. */
const patienceMs = 180_000;
const schema = { SIGRUN_DATABASE_SCHEMA: "public" };
const project = "00000000-0000-0000-0000-000000000000";

/** The descendants of a process that have this name. */
function below(pid: number | undefined, name: string): number[] {
  try {
    const children = execFileSync("pgrep", ["-P", String(pid)], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map(Number);
    const named = children.filter((child) =>
      execFileSync("ps", ["-o", "args=", "-p", String(child)], { encoding: "utf8" }).includes(name),
    );
    return [...named, ...children.flatMap((child) => below(child, name))];
  } catch {
    return [];
  }
}

/** A model that waits until the test lets it answer. */
function gated(): { by: (asked: Asked) => Reply; open(): void } {
  let open = () => {};
  const after = new Promise<void>((resolve) => (open = resolve));
  return { by: (asked) => ({ ...learning(asked), after }) as Reply, open: () => open() };
}

async function begin({ programs }: Gateway, programId: string): Promise<string> {
  const { optimization } = await programs.optimizeProgram({ programId, dataset: sentences });
  return optimization?.id ?? "";
}

/** Two gateways, and an optimization that runs on one of them until the model may answer. */
async function beginOnOneOfTwo(t: Teardown) {
  const { gateway, model, env } = await startScripted(t, schema);
  const second = await startGateway(t, { ...env, ...schema });
  const programId = await createMoods(gateway);
  const { by, open } = gated();
  model.answer(by);
  const id = await begin(gateway, programId);
  await until(() => model.requests.length > 0);
  const isFirst = below(gateway.process.pid, "dspy_sidecar.optimiz").length > 0;
  const [holder, other] = isFirst ? [gateway, second] : [second, gateway];
  return { holder, other, programId, id, open };
}

test("an optimization completes even if its process or its sidecar is killed", async (t) => {
  t.timeout(patienceMs);
  const { gateway, model } = await startScripted(t);
  const programId = await createMoods(gateway);
  for (const victim of ["dspy_sidecar.optimiz", "dspy_sidecar --listen"]) {
    const { by, open } = gated();
    model.answer(by);
    const before = model.requests.length;
    const id = await begin(gateway, programId);
    await until(() => model.requests.length > before);
    const [pid] = await until(() => {
      const found = below(gateway.process.pid, victim);
      return found.length > 0 && found;
    });
    process.kill(pid as number, "SIGKILL");
    open();
    const done = await ended(gateway, id);
    t.like(done, { status: OptimizationStatus.COMPLETED, attempt: 2 });
  }
});

test("another gateway takes over the optimization of a killed gateway within 30 s", async (t) => {
  t.timeout(patienceMs);
  const { holder: victim, other: survivor, id, open } = await beginOnOneOfTwo(t);
  victim.process.kill("SIGKILL");
  const killed = Date.now();
  open();
  const done = await ended(survivor, id);
  t.log(`taken over and completed after ${((Date.now() - killed) / 1000).toFixed(1)} s`);
  t.like(done, { status: OptimizationStatus.COMPLETED, attempt: 2, revision: 2 });
});

test("a gateway that stops hands its optimization over at once, and its attempt does not count as dead", async (t) => {
  t.timeout(patienceMs);
  const { gateway, model, env } = await startScripted(t, schema);
  const programId = await createMoods(gateway);
  const { by, open } = gated();
  model.answer(by);
  const id = await begin(gateway, programId);
  await until(() => model.requests.length > 0);
  t.is(await gateway.stop(), 0);
  open();
  const next = await startGateway(t, { ...env, ...schema });
  t.like(await ended(next, id), { status: OptimizationStatus.COMPLETED, attempt: 2 });
});

test("a gateway that was suspended and resumes commits nothing, since another gateway has taken over", async (t) => {
  t.timeout(patienceMs);
  const { holder: sleeper, other: survivor, programId, id, open } = await beginOnOneOfTwo(t);
  sleeper.process.kill("SIGSTOP");
  open();
  const done = await ended(survivor, id);
  t.like(done, { status: OptimizationStatus.COMPLETED, attempt: 2, revision: 2 });
  sleeper.process.kill("SIGCONT");
  // Once the gateway answers again, the result of its attempt has been handled or refused.
  await until(() => below(sleeper.process.pid, "dspy_sidecar.optimiz").length === 0);
  await sleeper.programs.executeProgram({ programId, inputs: { text: "x is sad" } });
  t.is((await survivor.programs.getProgram({ id: programId })).program?.revision, 2);
  t.like((await survivor.optimizations.getOptimization({ id })).optimization, { attempt: 2, revision: 2 });
});

test("the database refuses all writes of an attempt after the next attempt has started", async (t) => {
  t.timeout(patienceMs);
  const { gateway, model, env } = await startScripted(t, schema);
  model.script({ hang: true });
  const programId = await createMoods(gateway);
  const store = await openStore({
    url: env.DATABASE_URL,
    schema: "public",
    pool: 2,
    log: createLogger("silent"),
  });
  t.teardown(async () => {
    await store.close();
  });
  const id = await begin(gateway, programId);
  // The gateway's own attempt is in progress, and finds out that it may not go on.
  await until(() => model.requests.length > 0);
  const first = await until(() => store.attempts.begin(project, id));
  const second = await until(() => store.attempts.begin(project, id));
  t.is(second.attempt, first.attempt + 1);

  const { definition } = await store.revisions.get(project, first.programId, 1);
  const tokenUsage = { inputTokens: 1, outputTokens: 1, cachedTokens: 0, lmCalls: 1 };
  const progress = {
    phase: "score",
    message: "",
    fraction: null,
    bestScore: null,
    baselineScore: null,
    tokenUsage,
  };
  const draft = {
    origin: "optimized",
    status: "optimized",
    definition,
    dspyProgramId: "p_x",
    score: 1,
    optimizationId: id,
  } as const;
  const end = { baselineScore: 0, score: 1, tokenUsage, message: "" };
  t.false(await store.attempts.recordProgress(first, progress));
  t.is(await store.attempts.complete(first, end, draft), undefined);
  t.false(await store.attempts.handOver(first));
  t.is((await gateway.programs.getProgram({ id: programId })).program?.revision, 1);

  t.is((await store.attempts.complete(second, end, draft))?.revision, 2);
  t.is(await store.attempts.complete(second, end, draft), undefined);
  t.is((await gateway.programs.getProgram({ id: programId })).program?.revision, 2);
});

test("an optimization fails after five dead attempts", async (t) => {
  t.timeout(patienceMs);
  const { gateway, model } = await startScripted(t);
  model.script({ hang: true });
  const id = await begin(gateway, await createMoods(gateway));
  let killed = 0;
  const done = await until(async () => {
    for (const pid of below(gateway.process.pid, "dspy_sidecar.optimiz")) {
      process.kill(pid, "SIGKILL");
      killed += 1;
    }
    const { optimization } = await gateway.optimizations.getOptimization({ id });
    return optimization?.status === OptimizationStatus.FAILED && optimization;
  });
  t.like(done, { errorReason: "ATTEMPTS_EXHAUSTED", attempt: 6, revision: 0 });
  t.true(killed >= 5);
});

test("deleting a program deletes its optimization and stops the attempt", async (t) => {
  t.timeout(patienceMs);
  const { gateway, model } = await startScripted(t);
  model.script({ hang: true });
  const programId = await createMoods(gateway, `Gone ${randomUUID().slice(0, 4)}`);
  await begin(gateway, programId);
  await until(() => model.requests.length > 0);
  await gateway.programs.deleteProgram({ id: programId, force: true });
  await until(() => below(gateway.process.pid, "dspy_sidecar.optimiz").length === 0);
  t.deepEqual((await gateway.optimizations.listOptimizations({})).optimizations, []);
});
