import { registerSharedWorker } from "ava/plugin";
import pg from "pg";
import { readDatabaseUrl } from "../src/database-url/read.ts";
import { openStore, type Store } from "../src/store/store.ts";
import { createLogger } from "../src/telemetry.ts";
import type { Teardown } from "./_gateway.ts";
import { until } from "./_wait.ts";

/** Makes an empty database in the PostgreSQL that all test files share, and returns its URL. */
export async function createDatabase(): Promise<string> {
  const server = registerSharedWorker<string>({
    filename: new URL("_shared-postgres.ts", import.meta.url),
    supportedProtocols: ["ava-4"],
  });
  await server.available;
  for await (const { data } of server.publish("").replies()) return data;
  throw new Error("the shared PostgreSQL has not answered");
}

/** A gateway's store, opened as the gateway opens it. */
export const openStoreAt = (
  url: string,
  schema: string,
  pool = 2,
  log = createLogger("error"),
): Promise<Store> =>
  openStore({ database: readDatabaseUrl(url, {}), direct: undefined, isPooled: false, schema, pool, log });

/** Runs SQL directly in the database, as an operator would. */
export async function runSql(
  url: string,
  schema: string,
  sql: string,
  values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(`SET search_path TO ${schema}`);
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** Listens to the notices of gateways; returns a wait for a notice that contains a text. */
export async function listen(
  t: Teardown,
  url: string,
  channel: string,
): Promise<(text: string) => Promise<void>> {
  const client = new pg.Client(url);
  const notices: string[] = [];
  client.on("notification", ({ payload = "" }) => notices.push(payload));
  await client.connect();
  t.teardown(() => client.end());
  await client.query(`LISTEN ${channel}`);
  return async (text) => void (await until(() => notices.some((payload) => payload.includes(text))));
}

/** Locks all tables of a schema, so that no statement on them ends. Returns the release. */
export async function lockTables(url: string, schema: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query("SELECT tablename FROM pg_tables WHERE schemaname = $1", [schema]);
  const tables = rows.map(({ tablename }) => `${schema}."${tablename}"`).join(", ");
  await client.query("BEGIN");
  await client.query(`LOCK TABLE ${tables} IN ACCESS EXCLUSIVE MODE`);
  return () => client.end();
}
