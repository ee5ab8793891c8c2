import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import pLimit from "p-limit";
import { startSidecarChild } from "../../src/dspy/child.ts";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { createLogger } from "../../src/telemetry.ts";
import { listen } from "../_database.ts";
import { makeEveryCall } from "../_every-call.ts";
import { type Gateway, shared, startGateway, startPostgres } from "../_gateway.ts";
import { type ScriptedModel, startModel } from "../_model.ts";
import { createMoods, sentences } from "../_moods.ts";
import { allSites, connectionSites, siteGroups, specialSites, uncoveredSites } from "../_site-groups.ts";
import type { Order, Report } from "../_throw-at.ts";
import { until } from "../_wait.ts";

type Shared = { gateway: Gateway; model: ScriptedModel; env: Record<string, string>; programId: string };
const test = anyTest as TestFn<Shared>;
const file = shared(test);
const root = fileURLToPath(new URL("../..", import.meta.url));
/** The exit code of src/crash.ts. */
const crashCode = 70;
/** Time for all sites of a gateway to get their function. */
const maxRegisterMs = 60_000;

test.before(async (t) => {
  const model = await startModel();
  file.teardown(model.close);
  model.answer(({ messages }) =>
    JSON.stringify(messages).includes("hang")
      ? { hang: true }
      : { fields: { answer: "Paris", mood: "glad" } },
  );
  Object.assign(process.env, {
    SIGRUN_LM: "openai/scripted",
    SIGRUN_LM_API_BASE: model.url,
    OPENAI_API_KEY: "test",
  });
  const sidecar = await startSidecarChild({
    dir: join(root, "sidecar"),
    workers: 1,
    mcpServers: undefined,
    log: createLogger("error"),
  });
  file.teardown(sidecar.stop);
  const env = {
    // Asks each host whether it takes writes, as with several hosts, and probes whether it has TLS.
    DATABASE_URL: `${await startPostgres(file)}?target_session_attrs=read-write`,
    SIGRUN_DATABASE_SCHEMA: "crashes",
    // Nothing listens on the second address, so that the gateway retries.
    SIGRUN_SIDECAR: `${sidecar.targets[0]},unix:/nonexistent/sidecar.sock`,
    SIGRUN_RETENTION: "1d",
    SIGRUN_LM: "openai/scripted",
    NODE_OPTIONS: `--import=${new URL("../_throw-at.ts", import.meta.url)}`,
  };
  const gateway = await startGateway(file, env);
  const { program } = await gateway.programs.createProgram({
    program: { name: "Capital", signature: { text: "question -> answer" } },
  });
  t.context = { gateway, model, env, programId: program?.id ?? "" };
});

const isServing = async (url: string) =>
  (
    await createClient(Health, createGrpcTransport({ baseUrl: url })).check(
      { service: "sigrun.v1.SignatureService" },
      { timeoutMs: 10_000 },
    )
  ).status === 1;

/** Collects which sites of a gateway have got their function, and which have thrown. */
function watchSites(process: ChildProcess) {
  const registered = new Set<string>();
  const thrown = new Set<string>();
  process.on("message", (report: Report) => {
    if (report.registered) registered.add(report.registered);
    if (report.thrown) thrown.add(report.thrown);
  });
  return { registered, thrown };
}

const isLogged = (log: string, id: string) => log.includes(`"stack":"Error: thrown at ${id}`);

test("logs an error in a listener or timer of a connection, and keeps serving", async (t) => {
  t.timeout(300_000);
  const { gateway, programId } = t.context;
  const { thrown } = watchSites(gateway.process);
  for (const id of connectionSites) {
    for (const order of [{ sites: [id] }, { sites: [id], isForced: true }] satisfies Order[]) {
      gateway.process.send(order);
      await Promise.race([
        makeEveryCall(gateway.url, programId),
        until(() => thrown.has(id) || gateway.process.exitCode !== null),
      ]);
      if (thrown.has(id)) break;
    }
    t.true(thrown.has(id), `nothing calls ${id}`);
    await until(() => isLogged(gateway.log(), id) || gateway.process.exitCode !== null);
    t.is(gateway.process.exitCode, null, id);
    t.true(await isServing(gateway.url), id);
  }
});

/**
 * Starts a gateway, calls prepare() so that every site gets its function, and makes all sites
 * throw. The first one ends the gateway. Returns its log.
 */
async function throwAll(
  t: ExecutionContext<Shared>,
  sites: string[],
  env: Record<string, string>,
  prepare: (gateway: Gateway) => Promise<unknown>,
) {
  const gateway = await startGateway(t, env);
  const { registered, thrown } = watchSites(gateway.process);
  await prepare(gateway);
  gateway.process.send({ sites: [] } satisfies Order);
  // A site that nothing reaches fails below by its name, instead of hanging the test.
  const end = Date.now() + maxRegisterMs;
  await until(
    () => sites.every((id) => registered.has(id)) || gateway.process.exitCode !== null || Date.now() > end,
  );
  gateway.process.send({ sites, isForced: true } satisfies Order);
  await until(() => gateway.process.exitCode !== null);
  t.is(gateway.process.exitCode, crashCode, sites[0]);
  for (const id of sites) t.true(thrown.has(id) && isLogged(gateway.log(), id), `nothing calls ${id}`);
  return gateway.log();
}

/** Makes calls of all kinds, and leaves three runs in flight, which the model does not answer. */
async function leaveCallsInFlight({
  gateway: { url },
  model,
  programId,
}: Pick<Shared, "gateway" | "model" | "programId">): Promise<void> {
  await makeEveryCall(url, programId);
  const question = `hang ${randomUUID()}`;
  makeEveryCall(url, programId, question);
  await until(
    () => model.requests.filter(({ messages }) => JSON.stringify(messages).includes(question)).length === 3,
  );
}

test("every timer and listener of src throws in one of these tests", (t) => {
  t.deepEqual(uncoveredSites(), []);
  t.true(allSites.length > 60);
});

test("logs an error in any other listener or timer, drains, and exits with 70", async (t) => {
  t.timeout(300_000);
  const { env, gateway: other, model, programId } = t.context;
  const { SIGRUN_SIDECAR: _sidecar, ...ownSidecar } = env;

  /** Leaves a run in one gateway, for which only another gateway waits. */
  async function leaveRun(gateway: Gateway): Promise<void> {
    const question = `hang ${randomUUID()}`;
    const request = { programId, inputs: { question }, requestId: randomUUID() };
    const leave = new AbortController();
    const heard = await listen(t, env.DATABASE_URL as string, "sigrun");
    const first = gateway.programs.executeProgram(request, { signal: leave.signal }).catch(() => {});
    await until(() => model.requests.some(({ messages }) => JSON.stringify(messages).includes(question)));
    other.programs.executeProgram(request).catch(() => {});
    await heard('"wait"');
    // The answer comes after the notice, since one connection of PostgreSQL brings both.
    await gateway.programs.getProgram({ id: programId });
    leave.abort();
    await first;
  }

  const limit = pLimit(2);
  const optimizing = { ...env, SIGRUN_DATABASE_SCHEMA: "crashes_optimizing" };
  await Promise.all([
    ...siteGroups.map((ids) =>
      limit(async () => {
        const log = await throwAll(t, ids, env, (gateway) =>
          leaveCallsInFlight({ gateway, model, programId }),
        );
        t.true(
          log.includes("did not drain in time"),
          "the calls in flight hang, so that the drain takes its maximum",
        );
      }),
    ),
    limit(() => throwAll(t, [specialSites.keptRun], env, leaveRun)),
    // Ordered by the environment, since the call is too short for a message.
    limit(() =>
      throwAll(
        t,
        [specialSites.unaryAbort],
        { ...env, SIGRUN_THROW_AT: specialSites.unaryAbort },
        ({ programs }) => programs.compileProgram({ programId }).catch(() => {}),
      ),
    ),
    limit(() => throwAll(t, specialSites.children, ownSidecar, () => Promise.resolve())),
    limit(() =>
      throwAll(t, [specialSites.streamAbort], optimizing, async (gateway) => {
        const id = await createMoods(gateway);
        await gateway.programs.optimizeProgram({ programId: id, dataset: sentences });
      }),
    ),
  ]);
});

test("logs an error before the gateway is ready, or while it drains, and exits", async (t) => {
  t.timeout(300_000);
  const { env } = t.context;
  const { SIGRUN_SIDECAR: _sidecar, DATABASE_URL: _url, ...own } = env;
  const dataDir = mkdtempSync(join(tmpdir(), "sigrun-test-"));
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));

  async function throwAtStart(id: string, env: Record<string, string>): Promise<void> {
    const { message } = (await t.throwsAsync(
      startGateway(t, { ...env, SIGRUN_THROW_AT: id }),
      undefined,
      id,
    )) as Error;
    t.true(message.includes(`ended with ${crashCode} `), id);
    t.true(isLogged(message, id), id);
  }

  const limit = pLimit(2);
  // The first four sites are initdb's; the others need a folder in which PostgreSQL cannot start.
  const postgres = specialSites.postgres.map((id, index) => {
    const folder = join(dataDir, String(index));
    if (index >= 4) {
      mkdirSync(join(folder, "postgres"), { recursive: true });
      for (const [name, text] of Object.entries({
        PG_VERSION: "18",
        password: "?",
        "postmaster.pid": "2147483647\n\n\n1\n",
      }))
        writeFileSync(join(folder, "postgres", name), text);
    }
    return limit(() => throwAtStart(id, { ...own, SIGRUN_DATA_DIR: folder }));
  });
  const drain = limit(async () => {
    const { SIGRUN_SIDECAR: _sidecar, ...ownSidecar } = env;
    const gateway = await startGateway(t, ownSidecar);
    const { registered } = watchSites(gateway.process);
    gateway.process.send({ sites: specialSites.drain, isForced: true } satisfies Order);
    // The gateway reports its sites again when it has the order.
    await until(() => registered.size > 0);
    await gateway.stop();
    for (const id of specialSites.drain) t.true(isLogged(gateway.log(), id), id);
  });
  await Promise.all([...postgres, drain, limit(() => throwAtStart(specialSites.listening, env))]);
});
