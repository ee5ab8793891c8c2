import type pg from "pg";
import { StoreUnavailable } from "../../domain/faults.ts";
import { UnfitDatabase } from "./unfit.ts";

/** PostgreSQL 13 has the transaction ids that the log of changes is read by. */
const minVersion = 130_000;

/** Opens the first connection to a server; a refusal is told as the server words it. */
export async function connectFirst(client: pg.Client): Promise<void> {
  try {
    await client.connect();
  } catch (error) {
    if (/unsupported startup parameter/.test((error as Error).message))
      throw new UnfitDatabase(
        "the database is behind a pooler that gives a client no session of its own; set SIGRUN_DATABASE_POOLER=transaction",
      );
    throw new StoreUnavailable(error);
  }
}

/** Throws UnfitDatabase if the server can't hold the records. */
export async function checkServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number; encoding: string; collates: boolean }>(serverSql);
  const { version, encoding, collates } = rows[0] as (typeof rows)[number];
  if (version < minVersion)
    throw new UnfitDatabase(
      `the server is PostgreSQL ${Math.floor(version / 10_000)}; sigrun needs 13 or later`,
    );
  if (encoding !== "UTF8")
    throw new UnfitDatabase(
      `the database has the encoding ${encoding}, which can't hold every text; create one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`,
    );
  if (!collates)
    throw new UnfitDatabase('the server has no collation "und-x-icu"; sigrun needs a PostgreSQL with ICU');
}

const serverSql = `
  SELECT current_setting('server_version_num')::integer AS version, current_setting('server_encoding') AS encoding,
    EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') AS collates`;

/** Settings that a pooler's sessions take from a role or a database, and what statements need. */
const needed = {
  default_transaction_isolation: "read committed",
  standard_conforming_strings: "on",
  default_transaction_read_only: "off",
} as const;

/** Throws UnfitDatabase if sessions of the pooler have settings that sigrun can't set there. */
export async function checkPooledSession(client: pg.Client): Promise<void> {
  for (const [name, value] of Object.entries(needed)) {
    const { rows } = await client.query<{ is: string }>("SELECT current_setting($1) AS is", [name]);
    const is = rows[0]?.is;
    if (is !== value)
      throw new UnfitDatabase(
        `through the pooler, ${name} is ${is}; run ALTER ROLE ... SET ${name} = '${value}', and RECONNECT in PgBouncer`,
      );
  }
}

/** Throws UnfitDatabase if the two connections lead to different databases. */
export async function checkSameDatabase(one: pg.Client, other: pg.Client): Promise<void> {
  const ids = await Promise.all(
    [one, other].map(async (client) => (await client.query<{ id: string }>(identitySql)).rows[0]?.id),
  );
  if (ids[0] !== ids[1])
    throw new UnfitDatabase("DATABASE_URL and SIGRUN_DATABASE_LISTEN_URL lead to different databases");
}

const identitySql = `
  SELECT oid || ' ' || extract(epoch FROM pg_postmaster_start_time()) AS id FROM pg_database
  WHERE datname = current_database()`;
