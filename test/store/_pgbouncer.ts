import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { Teardown } from "../_gateway.ts";
import { until } from "../_wait.ts";

/** PgBouncer refuses to run as root. */
const nobody = 65_534;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => {
    server.listen(0, "127.0.0.1", listening);
  });
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Starts PgBouncer in transaction mode, with fewer connections than clients; returns its URL. */
export async function startPgbouncer(t: Teardown, command: string, direct: string): Promise<string> {
  const { hostname, port, username, password, pathname } = new URL(direct);
  const folder = mkdtempSync(join(tmpdir(), "sigrun-pgbouncer-"));
  chmodSync(folder, 0o755);
  const listenPort = await freePort();
  const database = pathname.slice(1);
  const config = join(folder, "pgbouncer.ini");
  writeFileSync(
    config,
    `[databases]
${database} = host=${hostname} port=${port} user=${username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 500
`,
  );
  const isRoot = process.getuid?.() === 0;
  const child = spawn(command, ["-q", config], {
    stdio: "ignore",
    ...(isRoot && { uid: nobody, gid: nobody }),
  });
  const exited = new Promise((resolve) => child.on("exit", resolve));
  t.teardown(async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true });
  });
  const url = `postgres://${username}@127.0.0.1:${listenPort}/${database}`;
  await until(async () => {
    const client = new pg.Client(url);
    client.on("error", () => {});
    const isUp = await client.connect().then(
      () => true,
      () => false,
    );
    await client.end();
    return isUp;
  });
  return url;
}
