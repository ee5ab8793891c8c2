import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAggregateExecutions } from "./actions/executions/aggregate.ts";
import { createBatch } from "./actions/executions/batch.ts";
import { createCancel } from "./actions/executions/cancel.ts";
import { createElsewhere } from "./actions/executions/elsewhere.ts";
import { createGetExecution } from "./actions/executions/get.ts";
import { createListExecutions } from "./actions/executions/list.ts";
import { createLiveRuns } from "./actions/executions/live.ts";
import { createPerform } from "./actions/executions/perform.ts";
import { createReplay } from "./actions/executions/replay.ts";
import { createRun } from "./actions/executions/run.ts";
import { createStream } from "./actions/executions/stream.ts";
import { createUpdateExecution } from "./actions/executions/update.ts";
import { createWatch } from "./actions/executions/watch.ts";
import { createCompileProgram } from "./actions/programs/compile.ts";
import { createCreateProgram } from "./actions/programs/create.ts";
import { createDeploy } from "./actions/programs/deploy.ts";
import { createListPrograms } from "./actions/programs/list.ts";
import { createRevisions } from "./actions/programs/revisions.ts";
import { createUpdateProgram } from "./actions/programs/update.ts";
import { createCreateSignature } from "./actions/signatures/create.ts";
import { createGetSignature } from "./actions/signatures/get.ts";
import { createListSignatures } from "./actions/signatures/list.ts";
import { createValidate } from "./actions/signatures/validate.ts";
import { type Config, ConfigError, readConfig, shownSettings } from "./config.ts";
import type { Execution } from "./domain/execution.ts";
import { createSchemaCache } from "./domain/schema.ts";
import { startPruning } from "./jobs/pruning.ts";
import { startRetention } from "./jobs/retention.ts";
import { startSweep } from "./jobs/sweep.ts";
import { adminService } from "./rpc/admin.ts";
import { catalogService } from "./rpc/catalogue.ts";
import { executionService } from "./rpc/executions.ts";
import { createHealth } from "./rpc/health.ts";
import { createListener } from "./rpc/listener.ts";
import { programService } from "./rpc/programs.ts";
import { createRoutes, services } from "./rpc/router.ts";
import { runMethods } from "./rpc/runs.ts";
import { signatureService } from "./rpc/signatures.ts";
import { startSidecarChild } from "./sidecar/child.ts";
import { createSidecar } from "./sidecar/client.ts";
import { startEmbeddedPostgres } from "./store/postgres.ts";
import { openStore } from "./store/store.ts";
import { createLogger, type Logger } from "./telemetry.ts";

/** How long running executions may take to end when the gateway is told to stop. */
const drainMs = 30_000;
const pulseMs = 2_000;
const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

/** What was started, last first when it ends. */
type Closing = { name: string; close(): Promise<unknown> | unknown }[];

async function start(config: Config, log: Logger, closing: Closing): Promise<string> {
  const onClose = (name: string, close: () => Promise<unknown> | unknown) => closing.unshift({ name, close });

  const postgres = config.databaseUrl ? undefined : await startEmbeddedPostgres({ dataDir: config.dataDir, log });
  if (postgres) onClose("postgres", postgres.stop);
  const child = config.sidecar ? undefined : await startSidecarChild({ dir: join(root, "sidecar"), workers: config.workers, log });
  if (child) onClose("sidecar process", child.stop);

  const store = await openStore({
    url: config.databaseUrl ?? (postgres?.url as string),
    schema: config.databaseSchema,
    pool: config.databasePool,
    log,
  });
  onClose("database", store.database.close);
  onClose("notices", store.notices.close);
  const sweep = await startSweep({ leases: store.leases, log });
  onClose("lease", sweep.stop);
  const pruning = await startPruning({ changeLog: store.changeLog, log });
  onClose("change log", pruning.stop);
  const { retentionMs } = config;
  if (retentionMs !== undefined) onClose("retention", startRetention({ executions: store.executionChanges, retentionMs, log }).stop);
  onClose("records", store.recorder.idle);

  const up = { store: true, sidecar: false };
  const health = createHealth(services.map(({ typeName }) => typeName));
  const publish = () => {
    for (const { typeName } of services) health.set(typeName, up.store && (up.sidecar || typeName !== "sigrun.v1.ProgramService"));
    health.set("", up.store && up.sidecar);
  };
  let arrive = () => {};
  const sidecarIsHere = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const sidecar = createSidecar({
    targets: config.sidecar ?? child?.targets ?? [],
    log,
    onChange: (isUp) => {
      up.sidecar = isUp;
      publish();
      if (isUp) arrive();
    },
  });
  onClose("sidecar channel", sidecar.close);

  const { programs, revisions, changes, signatures, executions, executionChanges, recorder, notices } = store;
  const schemas = createSchemaCache(1_000);
  const live = createLiveRuns<Execution>();
  const replay = createReplay({ executions, live, notices });
  const perform = createPerform({ sidecar, recorder, executions, revisions, schemas, log });
  const watch = createWatch({ log: store.changeLog, notices });
  const models = { allowedModels: config.lmAllowed };
  const run = createRun({ programs, recorder, sidecar, schemas, live, perform, replay, defaultModel: config.lm, ...models });
  const routes = createRoutes({
    signatures: signatureService({
      createSignature: createCreateSignature({ signatures }),
      getSignature: createGetSignature({ signatures }),
      listSignatures: createListSignatures({ signatures }),
      deleteSignature: signatures.remove,
      validate: createValidate({ signatures, programs, schemas }),
    }),
    programs: programService({
      createProgram: createCreateProgram({ programs, signatures, ...models }),
      getProgram: programs.get,
      listPrograms: createListPrograms({ programs }),
      updateProgram: createUpdateProgram({ programs, changes, signatures, ...models }),
      deleteProgram: changes.remove,
      deploy: createDeploy({ changes }),
      revisions: createRevisions({ programs, revisions, changes }),
      compileProgram: createCompileProgram({ programs, revisions, sidecar }),
      runs: runMethods({ run, stream: createStream({ run }), batch: createBatch({ run, programs, ...models }), log }),
    }),
    executions: executionService({
      getExecution: createGetExecution({ executions }),
      listExecutions: createListExecutions({ executions }),
      aggregateExecutions: createAggregateExecutions({ executions }),
      watch: watch.watch,
      updateExecution: createUpdateExecution({ executions, changes: executionChanges }),
      deleteExecution: executionChanges.remove,
      cancelExecution: createCancel({ executions, changes: executionChanges, live, notices }),
      elsewhere: createElsewhere({ programs, executions, changes: executionChanges, schemas }),
    }),
    catalogue: catalogService(),
    admin: adminService({ version, settings: shownSettings(config), schemas, sidecar }),
  });
  onClose("runs", live.idle);

  const listener = createListener({ routes, services, health, log });
  const pulse = setInterval(async () => {
    up.store = await store.database.answers();
    publish();
  }, pulseMs);
  onClose("listener", async () => {
    clearInterval(pulse);
    health.shutDown();
    watch.stop();
    await listener.drain(drainMs);
  });
  const port = await listenSomewhere(listener, config);
  await sidecarIsHere;
  return `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${port}`;
}

/** Where the operator chose no port: 8080, or the next one that is free. */
async function listenSomewhere(listener: { listen(host: string, port: number): Promise<number> }, { host, port }: Config): Promise<number> {
  if (port !== undefined) return listener.listen(host, port);
  for (let candidate = 8080; ; candidate++) {
    try {
      return await listener.listen(host, candidate);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || candidate === 8099) throw error;
    }
  }
}

async function stop(closing: Closing, log: Logger): Promise<void> {
  for (const { name, close } of closing) {
    try {
      await close();
    } catch (error) {
      log.error({ err: error }, `${name} did not end well`);
    }
  }
}

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel ?? (process.stderr.isTTY ? "warn" : "info"));
  const closing: Closing = [];
  let stopping: Promise<void> | undefined;
  const end = (why: string) => {
    // Twice Ctrl-C: at once. What runs is recorded as interrupted at the next start.
    if (stopping) process.exit(130);
    console.log(`sigrun is stopping (${why}); running executions may take up to ${drainMs / 1000} s`);
    stopping = stop(closing, log).then(() => process.exit(0));
  };
  process.on("SIGINT", () => end("Ctrl-C"));
  process.on("SIGTERM", () => end("SIGTERM"));
  // npm start holds a channel to this process: when it is killed, nobody is left to stop it.
  process.on("disconnect", () => end("npm start is gone"));

  try {
    const address = await start(config, log, closing);
    if (stopping) return;
    console.log(welcome(config, address));
  } catch (error) {
    if (stopping) return;
    log.error({ err: error }, "sigrun can't start");
    console.error(`sigrun can't start: ${(error as Error).message}`);
    await stop(closing, log);
    process.exit(1);
  }
}

function welcome(config: Config, address: string): string {
  const host = address.replace("http://", "");
  return [
    `  database  ${config.databaseUrl ? "yours (DATABASE_URL)" : `embedded PostgreSQL in ${config.dataDir}`}`,
    `  model     ${config.lm}${config.lm.startsWith("embedded/") ? ", small and local; set SIGRUN_LM for another" : ""}`,
    `  look      grpcurl -plaintext ${host} list`,
    "",
    `sigrun is ready on ${address}`,
  ].join("\n");
}

await main().catch((error: unknown) => {
  if (!(error instanceof ConfigError)) throw error;
  console.error(`sigrun can't start:\n${error.message}`);
  process.exit(2);
});
