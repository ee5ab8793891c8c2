import { readdirSync } from "node:fs";
import type { Sequelize, Transaction } from "sequelize";
import { Umzug } from "umzug";
import type { Logger } from "../telemetry.ts";
import type { Database } from "./database.ts";

/** A migration. `run` runs SQL in the transaction that all pending migrations share. */
export type Migration = (run: (sql: string) => Promise<void>) => Promise<void>;

/**
 * Applies pending migrations. If several gateways start at once, one migrates and the others wait.
 */
export function migrate(database: Database, schema: string, log: Logger): Promise<void> {
  return database.transact(async (transaction) => {
    const { sequelize } = database;
    const run = async (sql: string) => {
      await sequelize.query(sql, { transaction });
    };
    // Migrations may take longer than other statements.
    await run("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0");
    // The lock belongs to the transaction, so that a crash releases it.
    await run("SELECT pg_advisory_xact_lock(hashtext('sigrun:migrate'))");
    // CREATE SCHEMA IF NOT EXISTS needs the right to create one even if the schema exists.
    const [found] = await sequelize.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", {
      bind: [schema],
      transaction,
    });
    if (found.length === 0) await run(`CREATE SCHEMA "${schema}"`);
    await run(
      "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
    );
    const applied = await umzug(sequelize, transaction, run).up();
    for (const { name } of applied) log.info({ migration: name }, "migrated");
  });
}

function umzug(sequelize: Sequelize, transaction: Transaction, run: (sql: string) => Promise<void>) {
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
        const [rows] = await sequelize.query("SELECT name FROM migrations ORDER BY name", { transaction });
        return (rows as { name: string }[]).map(({ name }) => name);
      },
      logMigration: async ({ name }) => {
        await sequelize.query("INSERT INTO migrations (name) VALUES ($1)", { bind: [name], transaction });
      },
      unlogMigration: async ({ name }) => {
        await sequelize.query("DELETE FROM migrations WHERE name = $1", { bind: [name], transaction });
      },
    },
    logger: undefined,
  });
}
