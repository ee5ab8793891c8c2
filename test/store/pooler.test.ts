import { randomUUID } from "node:crypto";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { readDatabaseUrl } from "../../src/database-url/read.ts";
import { DeadlineExceeded } from "../../src/domain/faults.ts";
import { ExecutionStatus } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { OptimizationStatus } from "../../src/gen/sigrun/v1/optimization_service_pb.ts";
import { openStore } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry.ts";
import { runSql } from "../_database.ts";
import { type Gateway, shared, startGateway, startPostgres } from "../_gateway.ts";
import { type ScriptedModel, startModel } from "../_model.ts";
import { createMoods, ended, learning, sentences } from "../_moods.ts";
import { until } from "../_wait.ts";
import { startPgbouncer } from "./_pgbouncer.ts";

type Context = {
  model: ScriptedModel;
  env: Record<string, string>;
  direct: string;
  /** The first can't listen; the second listens past the pooler. */
  gateways: [Gateway, Gateway];
  programId: string;
};
const { SIGRUN_PGBOUNCER: pgbouncer } = process.env;
const serial = anyTest.serial as TestFn<Context>;
// `npm run test:pooler` finds PgBouncer, or says how to install it.
const test = pgbouncer ? serial : serial.skip;
const file = shared(anyTest);
const signature = { text: "question -> answer" };
const inputs = { question: "?" };
const paris = { fields: { answer: "Paris" } };
/** Half a second between two readings of the notices, and as much for the rest. */
const maxDelayMs = 1_000;

serial.before(async (t) => {
  t.timeout(120_000);
  if (!pgbouncer) return;
  const model = await startModel();
  file.teardown(model.close);
  model.script(paris);
  const direct = await startPostgres(file);
  const env = {
    DATABASE_URL: await startPgbouncer(file, pgbouncer, direct),
    SIGRUN_DATABASE_POOLER: "transaction",
    SIGRUN_DATABASE_SCHEMA: "shared_by_two",
    SIGRUN_WORKERS: "1",
    SIGRUN_LM: "openai/scripted",
    SIGRUN_LM_API_BASE: model.url,
    OPENAI_API_KEY: "test",
  };
  const gateways: [Gateway, Gateway] = [
    await startGateway(file, env),
    await startGateway(file, { ...env, SIGRUN_DATABASE_LISTEN_URL: direct }),
  ];
  const { program } = await gateways[0].programs.createProgram({ program: { name: "Capital", signature } });
  t.context = { model, env, direct, gateways, programId: program?.id ?? "" };
});

/** Both orders of the two gateways. */
const bothWays = ({
  context: {
    gateways: [one, other],
  },
}: ExecutionContext<Context>) =>
  [
    [one, other],
    [other, one],
  ] as const;

/** Starts a run that the model answers when `answer` is called. */
async function startRun({ context: { model, programId } }: ExecutionContext<Context>, gateway: Gateway) {
  let answer = () => {};
  model.script({ ...paris, after: new Promise<void>((resolve) => (answer = resolve)) });
  const requestId = randomUUID();
  const before = model.requests.length;
  const request = { programId, inputs, requestId };
  const result = gateway.programs.executeProgram(request).catch((error: unknown) => error);
  await until(() => model.requests.length > before);
  return { request, result, answer: () => answer() };
}

test("a run is cancelled by the other gateway within a second, both ways", async (t) => {
  for (const [here, there] of bothWays(t)) {
    const { request, answer } = await startRun(t, there);
    const began = performance.now();
    const { execution } = await here.executions.cancelExecution({
      key: { case: "requestId", value: request.requestId },
    });
    t.is(execution?.status, ExecutionStatus.CANCELLED);
    t.true(performance.now() - began < maxDelayMs, `${performance.now() - began} ms`);
    answer();
  }
});

test("a repeated request gets its answer at the other gateway within a second, both ways", async (t) => {
  for (const [here, there] of bothWays(t)) {
    const { request, result, answer } = await startRun(t, there);
    const repeated = here.programs.executeProgram(request);
    await until(async () => (await here.executions.listExecutions({})).executions.length > 0);
    answer();
    await result;
    const began = performance.now();
    t.deepEqual((await repeated).outputs, { answer: "Paris" });
    t.true(performance.now() - began < maxDelayMs, `${performance.now() - began} ms`);
  }
});

test("a watcher at the other gateway sees a change within a second, both ways", async (t) => {
  const { model, programId } = t.context;
  model.script(paris);
  for (const [here, there] of bothWays(t)) {
    const leave = new AbortController();
    const watch = here.executions.watchExecutions({}, { signal: leave.signal })[Symbol.asyncIterator]();
    await watch.next();
    const { execution } = await there.programs.executeProgram({ programId, inputs });
    const began = performance.now();
    for (;;) {
      const { value } = await watch.next();
      const { event } = value as { event: { case: string; value: { id: string; status: ExecutionStatus } } };
      if (event.case !== "execution" || event.value.id !== execution?.id) continue;
      if (event.value.status === ExecutionStatus.COMPLETED) break;
    }
    t.true(performance.now() - began < maxDelayMs, `${performance.now() - began} ms`);
    leave.abort();
  }
});

test("two schemas behind one pooler stay apart, under load, and so do their jobs", async (t) => {
  t.timeout(180_000);
  const { env, model, direct } = t.context;
  const schemas = ["one_apart", "two_apart"];
  model.script(paris);
  const gateways = await Promise.all(
    schemas.map((schema) => startGateway(t, { ...env, SIGRUN_DATABASE_SCHEMA: schema })),
  );
  const counts = [90, 60];
  await Promise.all(
    gateways.map(async ({ programs }, index) => {
      const { program } = await programs.createProgram({ program: { name: "Capital", signature } });
      const run = () => programs.executeProgram({ programId: program?.id ?? "", inputs });
      await Promise.all(Array.from({ length: counts[index] ?? 0 }, run));
    }),
  );
  for (const [index, schema] of schemas.entries()) {
    const [found] = await runSql(
      direct,
      schema,
      "SELECT count(*)::integer AS runs FROM executions WHERE status = 'completed'",
    );
    t.is(found?.runs, counts[index]);
  }
  model.answer(learning);
  const [optimizing, other] = gateways as [Gateway, Gateway];
  const programId = await createMoods(optimizing);
  const { optimization } = await optimizing.programs.optimizeProgram({ programId, dataset: sentences });
  t.is((await ended(optimizing, optimization?.id ?? "")).status, OptimizationStatus.COMPLETED);
  t.is((await other.optimizations.listOptimizations({})).optimizations.length, 0);
});

test("a slow query ends by itself, behind a pooler too", async (t) => {
  const store = await openStore({
    database: readDatabaseUrl(t.context.env.DATABASE_URL as string, {}),
    direct: undefined,
    isPooled: true,
    schema: "slow",
    pool: 1,
    log: createLogger("silent"),
  });
  t.teardown(store.close);
  const { slowRows } = store.database;
  await t.throwsAsync(slowRows("SELECT pg_sleep(30)", []), { instanceOf: DeadlineExceeded });
  t.deepEqual(await slowRows("SHOW statement_timeout", []), [{ statement_timeout: "8s" }]);
  t.deepEqual(await store.database.rows({ sql: "SHOW statement_timeout" }), [{ statement_timeout: "0" }]);
});

for (const [what, change, words] of [
  ["that is not named", { SIGRUN_DATABASE_POOLER: "" }, /set SIGRUN_DATABASE_POOLER=transaction/],
] as const)
  test(`a pooler ${what} is refused at start, in words`, async (t) => {
    const { message } = (await t.throwsAsync(startGateway(t, { ...t.context.env, ...change }))) as Error;
    t.regex(message, words);
  });

test("a direct URL that leads to another database is refused at start, in words", async (t) => {
  const other = await startPostgres(t);
  const env = { ...t.context.env, SIGRUN_DATABASE_LISTEN_URL: other };
  const { message } = (await t.throwsAsync(startGateway(t, env))) as Error;
  t.regex(message, /DATABASE_URL and SIGRUN_DATABASE_LISTEN_URL lead to different databases/);
});
