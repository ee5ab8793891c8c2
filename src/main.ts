import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { crashCode, drainOnCrash } from "./crash.ts";
import { StoreUnavailable } from "./domain/faults.ts";
import { startSidecarChild } from "./dspy/child.ts";
import { createSidecar } from "./dspy/client.ts";
import { startOptimizer } from "./jobs/optimizer.ts";
import { startPruning } from "./jobs/pruning.ts";
import { startRetention } from "./jobs/retention.ts";
import { startSweep } from "./jobs/sweep.ts";
import { services as contract } from "./rpc/router.ts";
import { createHealth } from "./rpc/server/health.ts";
import { createListener } from "./rpc/server/listener.ts";
import { createServices } from "./services.ts";
import { EmbeddedPostgresError, startEmbeddedPostgres } from "./store/postgres.ts";
import { openStore } from "./store/store.ts";
import { createLogger, type Logger } from "./telemetry.ts";

/** Time that running executions get to end when the gateway is told to stop. */
const drainMs = 30_000;
const pulseMs = 2_000;
const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

/** Started parts; closed in the reverse order. */
type Closing = { name: string; close(): Promise<unknown> | unknown }[];

/** Starts everything. After `stopping` aborts, throws soon, and starts no process later. */
async function start(config: Config, log: Logger, closing: Closing, stopping: AbortSignal): Promise<string> {
  const onClose = (name: string, close: () => Promise<unknown> | unknown) => closing.unshift({ name, close });
  const unlessStopping = abandoner(stopping);

  const postgres = config.databaseUrl
    ? undefined
    : await startEmbeddedPostgres({ dataDir: config.dataDir, stopping, log });
  if (postgres) onClose("postgres", postgres.stop);
  stopping.throwIfAborted();
  const child = config.sidecar
    ? undefined
    : await startSidecarChild({ dir: join(root, "sidecar"), ...config, log });
  if (child) onClose("sidecar process", child.stop);

  const store = await unlessStopping(
    openStore({
      url: config.databaseUrl ?? (postgres?.url as string),
      schema: config.databaseSchema,
      pool: config.databasePool,
      log,
    }),
  );
  onClose("database", store.database.close);
  onClose("notices", store.notices.close);
  const sweep = await unlessStopping(startSweep({ leases: store.leases, log }));
  onClose("lease", sweep.stop);
  const pruning = await unlessStopping(startPruning({ changeLog: store.changeLog, log }));
  onClose("change log", pruning.stop);
  const { retentionMs } = config;
  if (retentionMs !== undefined)
    onClose("retention", startRetention({ executions: store.executionChanges, retentionMs, log }).stop);
  onClose("records", store.recorder.idle);

  const up = { store: true, sidecar: false };
  const health = createHealth(contract.map(({ typeName }) => typeName));
  const publish = () => {
    for (const { typeName } of contract)
      health.set(typeName, up.store && (up.sidecar || typeName !== "sigrun.v1.ProgramService"));
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

  const services = createServices({ config, version, store, sidecar, log });
  onClose("runs", services.idle);

  const listener = createListener({ routes: services.routes, services: contract, health, log });
  const pulse = setInterval(async () => {
    up.store = await store.database.answers();
    publish();
  }, pulseMs);
  onClose("listener", async () => {
    clearInterval(pulse);
    health.shutDown();
    services.stopWatching();
    await listener.drain(drainMs);
  });
  // Closed first, so that another gateway takes the optimizations up at once.
  onClose(
    "optimizations",
    (await unlessStopping(startOptimizer({ queue: store.queue, attempt: services.attempt, log }))).stop,
  );
  const port = await unlessStopping(listenSomewhere(listener, config));
  await unlessStopping(sidecarIsHere);
  return `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${port}`;
}

/**
 * Waits for work that holds only connections, which end with this process. When `stopping` aborts,
 * the wait ends at once.
 */
function abandoner(stopping: AbortSignal): <T>(work: Promise<T>) => Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    stopping.addEventListener("abort", () => reject(stopping.reason), { once: true });
  });
  aborted.catch(() => {});
  return async (work) => {
    const result = await Promise.race([work, aborted]);
    stopping.throwIfAborted();
    return result;
  };
}

/** Listens on the operator's port; without one, on 8080 or the next free port. */
async function listenSomewhere(
  listener: { listen(host: string, port: number): Promise<number> },
  { host, port }: Config,
): Promise<number> {
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
  const stopping = new AbortController();
  let starting: Promise<unknown> = Promise.resolve();
  let isTold = false;
  const end = async (why: string, code: number) => {
    if (stopping.signal.aborted) return;
    console.log(`sigrun is stopping (${why}); running executions may take up to ${drainMs / 1000} s`);
    stopping.abort();
    // What is being started now must be known before it can be stopped.
    await starting.catch(() => {});
    await stop(closing, log);
    process.exit(code);
  };
  const obey = (why: string) => {
    // A second Ctrl-C ends the gateway at once. The next start records its runs as interrupted.
    if (isTold) process.exit(130);
    isTold = true;
    end(why, 0);
  };
  drainOnCrash(log, () => end("an uncaught error; see the log", crashCode));
  process.on("SIGINT", () => obey("Ctrl-C"));
  process.on("SIGTERM", () => obey("SIGTERM"));
  // npm start holds an IPC channel to this process. If npm start is killed, nobody else stops it.
  process.on("disconnect", () => obey("npm start is gone"));
  // The channel may have ended while this file loaded; `connected` is undefined without a channel.
  if (process.connected === false) return obey("npm start is gone");

  try {
    const started = start(config, log, closing, stopping.signal);
    starting = started;
    const address = await started;
    if (stopping.signal.aborted) return;
    console.log(welcome(config, address));
  } catch (error) {
    if (stopping.signal.aborted) return;
    const why = reasonOf(error);
    if (why === undefined) log.error({ err: error }, "sigrun can't start");
    console.error(`sigrun can't start: ${why ?? (error as Error).message}`);
    await stop(closing, log);
    process.exit(1);
  }
}

/** The reason in words, if the operator can mend it; else undefined, and the log gets the stack. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof EmbeddedPostgresError) return error.message;
  if (error instanceof StoreUnavailable)
    return [error.message, (error.cause as Error | undefined)?.message].filter(Boolean).join(": ");
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (code === "EADDRINUSE")
    return `${address}:${port} is taken; set SIGRUN_PORT to another port, or not at all for the next free one`;
  return undefined;
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
