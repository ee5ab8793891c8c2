import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "./config.ts";
import { readDatabaseUrl } from "./database-url/read.ts";
import { startSidecarChild } from "./dspy/child.ts";
import { createSidecar } from "./dspy/client.ts";
import { startOptimizer } from "./jobs/optimizer.ts";
import { startOwnRuns } from "./jobs/own-runs.ts";
import { startPruning } from "./jobs/pruning.ts";
import { startRetention } from "./jobs/retention.ts";
import { startSweep } from "./jobs/sweep.ts";
import { watchReadiness } from "./readiness.ts";
import { services as contract } from "./rpc/router.ts";
import { createHealth } from "./rpc/server/health.ts";
import { createListener } from "./rpc/server/listener.ts";
import type { Port } from "./rpc/server/port.ts";
import { createServices } from "./services.ts";
import { endsWithin, type Shutdown } from "./shutdown.ts";
import { startEmbeddedPostgres } from "./store/postgres.ts";
import { openStore, type Store } from "./store/store.ts";
import type { Logger } from "./telemetry.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
/** Ports that are tried if the operator set none. */
const firstPort = 8080;
const lastPort = 8099;

type Deps = { config: Config; log: Logger; shutdown: Shutdown };

/**
 * Starts all parts of the gateway, adds each to `shutdown`, and returns the address. When
 * `shutdown` aborts, this throws soon, and starts no process later.
 */
export async function startGateway({ config, log, shutdown }: Deps): Promise<string> {
  const { unlessStopping } = shutdown;
  const postgres = config.database
    ? undefined
    : await startEmbeddedPostgres({ dataDir: config.dataDir, stopping: shutdown.signal, log });
  if (postgres) shutdown.add("postgres", "postgres", ({ maxMs }) => postgres.stop(maxMs));
  shutdown.signal.throwIfAborted();
  const child = config.sidecar
    ? undefined
    : await startSidecarChild({ dir: join(root, "sidecar"), ...config, log });
  if (child) shutdown.add("sidecar process", "sidecar", ({ maxMs }) => child.stop(maxMs));

  const store = await unlessStopping(
    openStore({
      database: config.database ?? readDatabaseUrl(`${postgres?.url}?sslmode=disable`, {}),
      direct: config.databaseListen,
      isPooled: config.databasePooler,
      schema: config.databaseSchema,
      pool: config.databasePool,
      log,
    }),
  );
  shutdown.add("database", "database", store.database.close);
  shutdown.add("notices", "database", store.notices.close);
  await startJobs(store, { config, log, shutdown });
  shutdown.add("records", "database", store.recorder.idle);

  const health = createHealth(contract.map(({ typeName }) => typeName));
  const readiness = watchReadiness({
    health,
    services: contract,
    isWritable: store.database.isWritable,
    isLeaseHeld: store.leases.isHeld,
  });
  shutdown.add("readiness", "database", readiness.stop);
  const targets = config.sidecar ?? child?.targets ?? [];
  const sidecar = createSidecar({ targets, token: config.sidecarToken, log, onChange: readiness.setSidecar });
  shutdown.add("sidecar channel", "database", sidecar.close);
  const services = createServices({ config, version, store, sidecar, log });
  shutdown.add("runs", "runs", async ({ runsMs }) => {
    await endsWithin(runsMs, services.idle());
    services.endRuns();
    await services.idle();
  });
  let handover: Promise<void> | undefined;
  shutdown.add("optimizations", "runs", () => handover);
  const isAlive = (id: string) => services.isInFlight(id) || store.recorder.isWriting(id);
  shutdown.add("own runs", "database", startOwnRuns({ ownRuns: store.ownRuns, isAlive, log }).stop);
  const listener = createListener({
    routes: services.routes,
    services: contract,
    health,
    limits: config,
    log,
  });
  shutdown.add("listener", "runs", async ({ runsMs }) => {
    readiness.stop();
    health.shutDown();
    await listener.drain(runsMs);
  });
  const optimizer = await unlessStopping(
    startOptimizer({ queue: store.queue, attempt: services.attempt, log }),
  );
  // Stopped first, so that another gateway takes over the optimizations while the runs drain.
  shutdown.add("optimizer", "runs", () => {
    handover = optimizer.stop();
    handover.catch(() => {});
  });
  const port = await unlessStopping(listen(listener, config));
  await unlessStopping(readiness.sidecarUp);
  return `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${port}`;
}

async function startJobs(store: Store, { config, log, shutdown }: Deps): Promise<void> {
  const sweep = await shutdown.unlessStopping(startSweep({ leases: store.leases, log }));
  shutdown.add("lease", "database", sweep.stop);
  const pruning = await shutdown.unlessStopping(startPruning({ changeLog: store.changeLog, log }));
  shutdown.add("change log", "database", pruning.stop);
  const { retentionMs } = config;
  if (retentionMs === undefined) return;
  const retention = startRetention({ executions: store.executionChanges, retentionMs, log });
  shutdown.add("retention", "database", retention.stop);
}

/** Listens on the operator's port; without one, on the first free port. */
async function listen(port: Port, config: Config): Promise<number> {
  if (config.port !== undefined) return port.listen(config.host, config.port);
  for (let candidate = firstPort; ; candidate++) {
    try {
      return await port.listen(config.host, candidate);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || candidate === lastPort) throw error;
    }
  }
}
