import { type Config, ConfigError, readConfig } from "./config.ts";
import { crashCode, drainOnCrash, maxCrashDrainMs } from "./crash.ts";
import { StoreUnavailable } from "./domain/faults.ts";
import { createShutdown, endsWithin, runsMsOf } from "./shutdown.ts";
import { startGateway } from "./startup.ts";
import { UnfitDatabase } from "./store/connection/unfit.ts";
import { EmbeddedPostgresError } from "./store/postgres.ts";
import { createLogger } from "./telemetry.ts";

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel ?? (process.stderr.isTTY ? "warn" : "info"));
  const shutdown = createShutdown(log);
  let starting: Promise<unknown> = Promise.resolve();
  let isStopRequested = false;

  async function stop(why: string, exitCode: number, drainMs = config.drainMs): Promise<void> {
    if (shutdown.signal.aborted) return;
    const runsMs = runsMsOf(drainMs);
    console.log(`sigrun is stopping (${why}); running executions get up to ${runsMs / 1000} s to end`);
    const startedAt = performance.now();
    shutdown.abort();
    // A part that is being started must be known before it can be stopped.
    await endsWithin(
      runsMs,
      starting.catch(() => {}),
    );
    await shutdown.stopParts(drainMs - (performance.now() - startedAt));
    process.exit(exitCode);
  }
  function onStopRequest(why: string): void {
    // A second Ctrl-C ends the gateway at once. The next start records its runs as interrupted.
    if (isStopRequested) process.exit(130);
    isStopRequested = true;
    stop(why, 0);
  }
  drainOnCrash(log, () =>
    stop("an uncaught error; see the log", crashCode, Math.min(config.drainMs, maxCrashDrainMs)),
  );
  process.on("SIGINT", () => onStopRequest("Ctrl-C"));
  process.on("SIGTERM", () => onStopRequest("SIGTERM"));
  // npm start holds an IPC channel to this process. If npm start is killed, nobody else stops it.
  process.on("disconnect", () => onStopRequest("npm start has ended"));
  // The channel may have ended while this file loaded; `connected` is undefined without a channel.
  if (process.connected === false) return onStopRequest("npm start has ended");

  try {
    const started = startGateway({ config, log, shutdown });
    starting = started;
    const address = await started;
    if (shutdown.signal.aborted) return;
    console.log(welcome(config, address));
  } catch (error) {
    if (shutdown.signal.aborted) return;
    const reason = reasonOf(error, config);
    if (reason === undefined) log.error({ err: error }, "sigrun can't start");
    console.error(`sigrun can't start: ${reason ?? (error as Error).message}`);
    await shutdown.stopParts(config.drainMs);
    process.exit(1);
  }
}

/** The reason in words if the operator can mend it; undefined for others, which are logged. */
function reasonOf(error: unknown, config: Config): string | undefined {
  if (error instanceof EmbeddedPostgresError || error instanceof UnfitDatabase) return error.message;
  if (error instanceof StoreUnavailable)
    return [error.message, (error.cause as Error | undefined)?.message].filter(Boolean).join(": ");
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (code === "EADDRINUSE")
    return config.port === undefined
      ? `all ports of ${address} from 8080 to ${port} are in use; set SIGRUN_PORT to a free port`
      : `${address}:${port} is in use; set SIGRUN_PORT to a free port, or unset it for the first free one from 8080`;
  return undefined;
}

function welcome(config: Config, address: string): string {
  const host = address.replace("http://", "");
  return [
    `  database  ${config.database ? "the one of DATABASE_URL" : `embedded PostgreSQL in ${config.dataDir}`}`,
    `  model     ${config.lm}${config.lm.startsWith("embedded/") ? ", small and local; set SIGRUN_LM for another" : ""}`,
    `  try       grpcurl -plaintext ${host} list`,
    "",
    `sigrun is ready on ${address}`,
  ].join("\n");
}

await main().catch((error: unknown) => {
  if (!(error instanceof ConfigError)) throw error;
  console.error(`sigrun can't start:\n${error.message}`);
  process.exit(2);
});
