import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import pLimit from "p-limit";
import { startSidecarChild } from "../src/dspy/child.ts";
import { Health } from "../src/gen/grpc/health/v1/health_pb.ts";
import { ExecutionService } from "../src/gen/sigrun/v1/execution_service_pb.ts";
import { ProgramService } from "../src/gen/sigrun/v1/program_service_pb.ts";
import { createLogger } from "../src/telemetry.ts";
import { listen } from "./_database.ts";
import { type Gateway, shared, startGateway, startPostgres } from "./_gateway.ts";
import { type ScriptedModel, startModel } from "./_model.ts";
import { createMoods, sentences } from "./_moods.ts";
import { readSites, type Site } from "./_sites.ts";
import type { Order, Told } from "./_throw-at.ts";
import { until } from "./_wait.ts";

type Shared = { gateway: Gateway; model: ScriptedModel; env: Record<string, string>; programId: string };
const test = anyTest as TestFn<Shared>;
const file = shared(test);
const root = fileURLToPath(new URL("..", import.meta.url));
/** What src/crash.ts says. */
const crashCode = 70;
const limits = { timeoutMs: 10_000 };

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
    DATABASE_URL: await startPostgres(file),
    SIGRUN_DATABASE_SCHEMA: "crashes",
    // The second is never there, so that the gateway keeps trying.
    SIGRUN_SIDECAR: `${sidecar.targets[0]},unix:/nonexistent/sidecar.sock`,
    SIGRUN_RETENTION: "1d",
    SIGRUN_LM: "openai/scripted",
    NODE_OPTIONS: `--import=${new URL("_throw-at.ts", import.meta.url)}`,
  };
  const gateway = await startGateway(file, env);
  const { program } = await gateway.programs.createProgram({
    program: { name: "Capital", signature: { text: "question -> answer" } },
  });
  t.context = { gateway, model, env, programId: program?.id ?? "" };
});

const sites = readSites();
const socketError = sites.find(({ file, event }) => file === "src/rpc/server/port.ts" && event === "error");
/** Sites of the whole gateway in src/rpc: the listening socket, the drain, the caller's signal. */
const isShared = (site: Site) =>
  site.file === "src/rpc/caller.ts" ||
  (site.file === "src/rpc/server/port.ts" &&
    (site.event === "setTimeout" || (site.event === "error" && site !== socketError)));
const ofConnections = sites.filter((site) => site.file.startsWith("src/rpc/") && !isShared(site));

const isWell = async (url: string) =>
  (
    await createClient(Health, createGrpcTransport({ baseUrl: url })).check(
      { service: "sigrun.v1.SignatureService" },
      { timeoutMs: 10_000 },
    )
  ).status === 1;

/** Makes calls of all kinds, each on its own connection, and a run; any of them may fail. */
async function tour(url: string, programId: string, question = "?"): Promise<void> {
  const inputs = { question };
  const { hostname, port } = new URL(url);
  const grpc = createGrpcTransport({ baseUrl: url });
  const programs = createClient(ProgramService, grpc);
  const sockets: Socket[] = [];
  const raw = async (...bytes: string[]) => {
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    socket.on("error", () => {});
    await once(socket, "connect");
    for (const part of bytes) socket.write(Buffer.from(part, "latin1"));
    return socket;
  };
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
  const session = connectHttp2(url).on("error", () => {});
  const refused = async () => {
    const path = "/sigrun.v1.ProgramService/GetProgram";
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {}).resume();
    stream.write(Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]));
    await once(stream, "close");
  };
  const read = async (events: AsyncIterable<unknown>) => {
    for await (const _ of events);
  };
  await Promise.allSettled([
    raw(),
    raw(preface),
    raw(preface, "\0\0\x01\x06\0\0\0\0\0\0"),
    raw("GET / HTTP/1.1\r\n\r\n").then((socket) => socket.resetAndDestroy()),
    fetch(url),
    fetch(`${url}/grpc.health.v1.Health/Check`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    }),
    Promise.race([refused(), once(session, "close")]),
    programs.executeProgram({ programId, inputs }, limits),
    read(programs.streamProgram({ programId, inputs }, limits)),
    read(programs.batchExecuteProgram({ programId, items: [{ inputs }] }, limits)),
    read(createClient(ExecutionService, grpc).watchExecutions({}, { timeoutMs: 300 })),
  ]);
  session.destroy();
  for (const socket of sockets) socket.destroy();
}

/** What a gateway's sites have done so far. */
function watchSites(process: ChildProcess) {
  const offered = new Set<string>();
  const thrown = new Set<string>();
  process.on("message", (told: Told) => {
    if (told.offered) offered.add(told.offered);
    if (told.thrown) thrown.add(told.thrown);
  });
  return { offered, thrown };
}

const isLogged = (log: string, id: string) => log.includes(`"stack":"Error: thrown at ${id}`);

test("whatever a listener or timer of a connection throws is logged, and the gateway serves on", async (t) => {
  t.timeout(300_000);
  const { gateway, programId } = t.context;
  const { thrown } = watchSites(gateway.process);
  for (const { id } of ofConnections) {
    for (const order of [{ at: [id] }, { at: [id], isForced: true }] satisfies Order[]) {
      gateway.process.send(order);
      await Promise.race([
        tour(gateway.url, programId),
        until(() => thrown.has(id) || gateway.process.exitCode !== null),
      ]);
      if (thrown.has(id)) break;
    }
    t.true(thrown.has(id), `nothing calls ${id}`);
    await until(() => isLogged(gateway.log(), id) || gateway.process.exitCode !== null);
    t.is(gateway.process.exitCode, null, id);
    t.true(await isWell(gateway.url), id);
  }
});

/** Makes sites throw in turn in one gateway, which ends after the first; begin() prepares all. */
async function throwAll(
  t: ExecutionContext<Shared>,
  at: string[],
  env: Record<string, string>,
  begin: (gateway: Gateway) => Promise<unknown>,
) {
  const gateway = await startGateway(t, env);
  const { offered, thrown } = watchSites(gateway.process);
  await begin(gateway);
  gateway.process.send({ at: [] } satisfies Order);
  await until(() => at.every((id) => offered.has(id)) || gateway.process.exitCode !== null);
  gateway.process.send({ at, isForced: true } satisfies Order);
  await until(() => gateway.process.exitCode !== null);
  t.is(gateway.process.exitCode, crashCode, at[0]);
  for (const id of at) t.true(thrown.has(id) && isLogged(gateway.log(), id), `nothing calls ${id}`);
  return gateway.log();
}

/** Makes calls of all kinds, and leaves some in flight, which the model does not answer. */
async function makeCalls({
  gateway: { url },
  model,
  programId,
}: Pick<Shared, "gateway" | "model" | "programId">): Promise<void> {
  await tour(url, programId);
  const question = `hang ${randomUUID()}`;
  tour(url, programId, question);
  await until(
    () => model.requests.filter(({ messages }) => JSON.stringify(messages).includes(question)).length === 3,
  );
}

const idsOf = (...places: string[]) =>
  sites
    .filter(
      (site) => !ofConnections.includes(site) && places.some((place) => site.id.startsWith(`src/${place}`)),
    )
    .map(({ id }) => id);
/** Sites that are reached in a way of their own. */
const [keptTimer] = idsOf("actions/executions/in-flight.ts");
const [unaryAbort, streamAbort] = idsOf("dspy/channel.ts");
const [listening] = idsOf("rpc/server/port.ts").filter((id) => id.includes("error"));
const [killTimer, ...ofChildren] = idsOf("supervise.ts");
const ofDrain = [
  ...idsOf("rpc/server/port.ts").filter((id) => id.includes("setTimeout")),
  killTimer as string,
];
const ofPostgres = idsOf("store/postgres.ts");
const apart = new Set([keptTimer, unaryAbort, streamAbort, listening, ...ofDrain, ...ofPostgres]);
const groups = [
  idsOf("actions/", "rpc/"),
  idsOf("jobs/", "main.ts", "readiness.ts", "shutdown.ts"),
  idsOf("dspy/"),
  idsOf("store/"),
].map((ids) => ids.filter((id) => !apart.has(id)));

test("every timer and listener of src is made to throw here", (t) => {
  const tried = new Set([...ofConnections.map(({ id }) => id), ...groups.flat(), ...ofChildren, ...apart]);
  t.deepEqual(
    sites.map(({ id }) => id).filter((id) => !tried.has(id)),
    [],
  );
  t.true(sites.length > 60);
});

test("whatever any other listener or timer throws is logged, and the gateway drains and ends with its own exit code", async (t) => {
  t.timeout(300_000);
  const { env, gateway: other, model, programId } = t.context;
  const { SIGRUN_SIDECAR: _sidecar, ...ownSidecar } = env;

  /** A run that nobody waits for but another gateway, of which the first one hears. */
  async function leaveToAnother(gateway: Gateway): Promise<void> {
    const question = `hang ${randomUUID()}`;
    const asked = { programId, inputs: { question }, requestId: randomUUID() };
    const leave = new AbortController();
    const hears = await listen(t, env.DATABASE_URL as string, "sigrun");
    const first = gateway.programs.executeProgram(asked, { signal: leave.signal }).catch(() => {});
    await until(() => model.requests.some(({ messages }) => JSON.stringify(messages).includes(question)));
    other.programs.executeProgram(asked).catch(() => {});
    await hears('"wait"');
    // Answered after the notice has come, since one connection brings both.
    await gateway.programs.getProgram({ id: programId });
    leave.abort();
    await first;
  }

  const inTurn = pLimit(2);
  const optimizing = { ...env, SIGRUN_DATABASE_SCHEMA: "crashes_optimizing" };
  await Promise.all([
    ...groups.map((ids) =>
      inTurn(async () => {
        const log = await throwAll(t, ids, env, (gateway) => makeCalls({ gateway, model, programId }));
        t.true(
          log.includes("did not drain in time"),
          "the calls under way hang longer than a drain may take here",
        );
      }),
    ),
    inTurn(() => throwAll(t, [keptTimer as string], env, leaveToAnother)),
    // By the environment, since the call is too short for an order.
    inTurn(() =>
      throwAll(t, [unaryAbort as string], { ...env, SIGRUN_THROW_AT: unaryAbort as string }, ({ programs }) =>
        programs.compileProgram({ programId }).catch(() => {}),
      ),
    ),
    inTurn(() => throwAll(t, ofChildren, ownSidecar, () => Promise.resolve())),
    inTurn(() =>
      throwAll(t, [streamAbort as string], optimizing, async (gateway) => {
        const id = await createMoods(gateway);
        await gateway.programs.optimizeProgram({ programId: id, dataset: sentences });
      }),
    ),
  ]);
});

test("what throws before the gateway is ready, or while it ends, is logged and does not keep it", async (t) => {
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

  const inTurn = pLimit(2);
  // The first four sites are initdb's; the others need a folder in which PostgreSQL cannot start.
  const postgres = ofPostgres.map((id, index) => {
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
    return inTurn(() => throwAtStart(id, { ...own, SIGRUN_DATA_DIR: folder }));
  });
  const drain = inTurn(async () => {
    const { SIGRUN_SIDECAR: _sidecar, ...ownSidecar } = env;
    const gateway = await startGateway(t, ownSidecar);
    gateway.process.send({ at: ofDrain, isForced: true } satisfies Order);
    await gateway.stop();
    for (const id of ofDrain) t.true(isLogged(gateway.log(), id), id);
  });
  await Promise.all([...postgres, drain, inTurn(() => throwAtStart(listening as string, env))]);
});
