import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest from "ava";
import { readDatabaseUrl } from "../../src/database-url/read.ts";
import { createClients } from "../../src/store/connection/clients.ts";
import { createLogger } from "../../src/telemetry.ts";
import { runSql } from "../_database.ts";
import { shared, startPostgres } from "../_gateway.ts";
import { until } from "../_wait.ts";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
/** The certificates are made by openssl. */
const test = hasOpenssl ? anyTest.serial : anyTest.serial.skip;
const file = shared(anyTest);
const folder = mkdtempSync(join(tmpdir(), "sigrun-tls-"));
const [cert, key] = [join(folder, "server.crt"), join(folder, "server.key")];
let url: string;

anyTest.before(async () => {
  file.teardown(() => rmSync(folder, { recursive: true }));
  if (!hasOpenssl) return;
  url = await startPostgres(file);
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      "-keyout",
      key,
      "-out",
      cert,
      ...names,
    ],
    { stdio: "ignore" },
  );
  chmodSync(folder, 0o755);
  chmodSync(key, 0o600);
  // PostgreSQL's own user reads the key.
  if (process.getuid?.() === 0) chownSync(key, 0, 0);
  for (const [name, value] of Object.entries({ ssl_cert_file: cert, ssl_key_file: key, ssl: "on" }))
    await runSql(url, "public", `ALTER SYSTEM SET ${name} = '${value}'`);
  await runSql(url, "public", "SELECT pg_reload_conf()");
});

/** Whether a connection by the URL's parameters has TLS. */
async function hasTls(host: string, query: string): Promise<boolean | undefined> {
  const address = new URL(url);
  address.hostname = host;
  address.search = query;
  const log = createLogger("silent");
  const database = readDatabaseUrl(address.href, {});
  const { Query } = createClients({ database, direct: undefined, isPooled: false, log });
  const client = new Query();
  try {
    await client.connect();
    const sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    return (await client.query<{ ssl: boolean }>(sql)).rows[0]?.ssl;
  } finally {
    await client.end();
  }
}

test("sslmode decides whether a connection has TLS, and what is verified", async (t) => {
  await until(() => hasTls("127.0.0.1", "sslmode=require").catch(() => undefined));
  t.true(await hasTls("127.0.0.1", ""));
  t.false(await hasTls("127.0.0.1", "sslmode=disable"));
  t.true(await hasTls("localhost", `sslmode=verify-full&sslrootcert=${cert}`));
  t.true(await hasTls("127.0.0.1", `sslmode=verify-ca&sslrootcert=${cert}`));
  await t.throwsAsync(hasTls("127.0.0.1", `sslmode=verify-full&sslrootcert=${cert}`), {
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  });
  await t.throwsAsync(hasTls("localhost", "sslmode=verify-full"), { message: /self-signed/ });
});

test("without TLS at the server, prefer connects and require is refused", async (t) => {
  await runSql(url, "public", "ALTER SYSTEM SET ssl = off");
  await runSql(url, "public", "SELECT pg_reload_conf()");
  await until(() =>
    hasTls("127.0.0.1", "sslmode=require").then(
      () => false,
      () => true,
    ),
  );
  t.false(await hasTls("127.0.0.1", "sslmode=prefer"));
  await t.throwsAsync(hasTls("127.0.0.1", "sslmode=require"), { message: /does not support SSL/ });
});

test("of several hosts, the one that takes writes is used", async (t) => {
  const { host, username, password } = new URL(url);
  const server = await startPostgres(t);
  await runSql(server, "public", "ALTER SYSTEM SET default_transaction_read_only = on");
  // Both servers get one password, and the second one its setting.
  await runSql(server, "public", `SELECT pg_reload_conf(); ALTER ROLE ${username} PASSWORD '${password}'`);
  const { port } = new URL(server);
  const both = `postgres://${username}:${password}@127.0.0.1:1,127.0.0.1:${port},${host}/postgres`;
  const log = createLogger("silent");
  const database = readDatabaseUrl(both, {});
  const { Query } = createClients({ database, direct: undefined, isPooled: false, log });
  const client = new Query();
  await client.connect();
  t.is(`${client.host}:${client.port}`, host);
  await client.end();
});
