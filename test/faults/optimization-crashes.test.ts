import { OptimizationStatus } from "../../src/gen/sigrun/v1/optimization_service_pb.ts";
import { createLogger } from "../../src/telemetry.ts";
import { openStoreAt } from "../_database.ts";
import { createMoodsTest, ended } from "../_moods.ts";
import { begin, gated } from "../_optimizers.ts";
import { descendantsWith } from "../_processes.ts";
import { until } from "../_wait.ts";

const test = createMoodsTest();
const patienceMs = 180_000;
const project = "00000000-0000-0000-0000-000000000000";

test("an optimization completes even if its process or its sidecar is killed", async (t) => {
  t.timeout(patienceMs);
  const { gateway, model, programId } = t.context;
  for (const victim of ["optimizer", "dspy_sidecar --listen"]) {
    const { by, open } = gated();
    model.answer(by);
    const before = model.requests.length;
    const id = await begin(gateway, programId);
    await until(() => model.requests.length > before);
    const [pid] = await until(() => {
      const found = descendantsWith(gateway.process.pid, victim);
      return found.length > 0 && found;
    });
    process.kill(pid as number, "SIGKILL");
    open();
    const done = await ended(gateway, id);
    t.like(done, { status: OptimizationStatus.COMPLETED, attempt: 2 });
  }
});

test("the database refuses all writes of an attempt after the next attempt has started", async (t) => {
  t.timeout(patienceMs);
  const { gateway, model, url, programId } = t.context;
  model.script({ hang: true });
  const before = model.requests.length;
  const store = await openStoreAt(url, "public", 2, createLogger("silent"));
  t.teardown(async () => {
    await store.close();
  });
  const id = await begin(gateway, programId);
  // The gateway's own attempt is in progress, and finds out that it may not go on.
  await until(() => model.requests.length > before);
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
  const { gateway, model, programId } = t.context;
  model.script({ hang: true });
  const id = await begin(gateway, programId);
  let killed = 0;
  const done = await until(async () => {
    for (const pid of descendantsWith(gateway.process.pid, "optimizer")) {
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
  const { gateway, model, programId } = t.context;
  model.script({ hang: true });
  const before = model.requests.length;
  await begin(gateway, programId);
  await until(() => model.requests.length > before);
  await gateway.programs.deleteProgram({ id: programId, force: true });
  await until(() => descendantsWith(gateway.process.pid, "optimizer").length === 0);
  const { optimizations } = await gateway.optimizations.listOptimizations({});
  t.deepEqual(
    optimizations.filter((optimization) => optimization.programId === programId),
    [],
  );
});
