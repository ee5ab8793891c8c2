import { readdirSync } from "node:fs";
import type pg from "pg";
import { PgBoss } from "pg-boss";
import { Umzug } from "umzug";
import type { Logger } from "../telemetry.ts";
import { UnfitDatabase } from "./connection/unfit.ts";

/** A migration. `run` runs SQL in the transaction that all pending migrations share. */
export type Migration = (run: (sql: string) => Promise<void>) => Promise<void>;

export type Schemas = {
  readonly schema: string;
  /** Schema of the job queue. */
  readonly jobs: string;
};

/**
 * Applies pending migrations, and those of the job queue. If several gateways start at once, one
 * migrates and the others wait.
 */
export async function migrate(client: pg.Client, { schema, jobs }: Schemas, log: Logger): Promise<void> {
  await client.query("BEGIN");
  // Migrations may take longer than other statements. A transaction's settings end with it, so that
  // they reach no other client of a pooler.
  await client.query(`SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`);
  await client.query(`SET LOCAL search_path TO "${schema}"`);
  // The lock belongs to the transaction, so that a crash releases it.
  await client.query("SELECT pg_advisory_xact_lock(hashtext('sigrun:migrate'))");
  await createSchema(client, schema);
  await createSchema(client, jobs);
  await client.query(
    "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
  );
  const applied = await umzug(client).up();
  await client.query("COMMIT");
  for (const { name } of applied) log.info({ migration: name }, "migrated");
  await migrateJobs(client, jobs);
}

/** An operator may have made the schema, for a role that may not make one. */
async function createSchema(client: pg.Client, name: string): Promise<void> {
  const found = await client.query<{ role: string; exists: boolean; creates: boolean; fills: boolean }>(
    `SELECT current_user AS role, n.oid IS NOT NULL AS exists,
       has_database_privilege(current_database(), 'CREATE') AS creates,
       has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE') AS fills
     FROM (SELECT) AS one LEFT JOIN pg_namespace AS n ON n.nspname = $1`,
    [name],
  );
  const { role, exists, creates, fills } = found.rows[0] as (typeof found.rows)[number];
  if (!exists && !creates)
    throw new UnfitDatabase(
      `schema "${name}" does not exist and role "${role}" may not create it; run CREATE SCHEMA "${name}" AUTHORIZATION "${role}"`,
    );
  if (exists && !fills)
    throw new UnfitDatabase(
      `role "${role}" may not create tables in schema "${name}"; run GRANT USAGE, CREATE ON SCHEMA "${name}" TO "${role}"`,
    );
  if (!exists) await client.query(`CREATE SCHEMA "${name}"`);
}

/** pg-boss makes and changes its own tables. */
async function migrateJobs(client: pg.Client, schema: string): Promise<void> {
  const boss = new PgBoss({
    db: {
      // It opens transactions inside its statements, and tries again if another gateway was first.
      executeSql: (text, values) =>
        client.query(text, values as unknown[]).catch(async (error: unknown) => {
          await client.query("ROLLBACK");
          throw error;
        }),
    },
    schema,
    createSchema: false,
    ...{ supervise: false, schedule: false, registerInstance: false },
  });
  await boss.start();
  await boss.stop({ graceful: false });
}

function umzug(client: pg.Client) {
  const run = async (sql: string) => void (await client.query(sql));
  const folder = new URL("./migrations/", import.meta.url);
  return new Umzug({
    migrations: readdirSync(folder)
      .filter((file) => file.endsWith(".ts"))
      .sort()
      .map((file) => ({
        name: file.replace(/\.ts$/, ""),
        up: async () => {
          const { up } = (await import(new URL(file, folder).href)) as { up: Migration };
          await up(run);
        },
      })),
    storage: {
      executed: async () => {
        const { rows } = await client.query<{ name: string }>("SELECT name FROM migrations ORDER BY name");
        return rows.map(({ name }) => name);
      },
      logMigration: async ({ name }) => {
        await client.query("INSERT INTO migrations (name) VALUES ($1)", [name]);
      },
      unlogMigration: async ({ name }) => {
        await client.query("DELETE FROM migrations WHERE name = $1", [name]);
      },
    },
    logger: undefined,
  });
}
