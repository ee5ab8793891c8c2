import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import pg from "pg";
import { type Config, type Options, Sequelize, type Transaction } from "sequelize";
import { DeadlineExceeded, StoreUnavailable } from "../domain/faults.ts";
import type { ClientClass, ClientQuery } from "./connection/client.ts";
import { isConflict, isOutage, sqlStateOf } from "./connection/outage.ts";
import {
  connectMs,
  ordinary,
  type Patience,
  slow,
  statementTimeoutMs,
  within,
} from "./connection/patience.ts";

/**
 * SQL that names tables as `sigrun.TABLE`: the schema of the operator takes the place of `sigrun`.
 * No statement relies on search_path, which a pooler hands from one client to another. A statement
 * with a name is prepared and planned once for each connection, so its plan must stay good as
 * tables grow.
 */
export type Statement = { readonly sql: string; readonly name?: string; readonly patience?: Patience };

export type Database = {
  readonly sequelize: Sequelize;
  /**
   * Runs a statement by pg alone: Sequelize's own query would cost more CPU than the statement.
   * Repeats it after a conflict with another transaction, unless it is in the caller's transaction.
   */
  rows<Row extends object>(
    statement: Statement,
    bind?: readonly unknown[],
    transaction?: Transaction,
  ): Promise<Row[]>;
  /** Does work with Sequelize's models. Throws StoreUnavailable if the database is away. */
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Runs slow reads on at most half of the connections, so that runs can be recorded meanwhile. */
  slowRows<Row extends object>(sql: string, bind: readonly unknown[]): Promise<Row[]>;
  /** Does work in one transaction, and again after a conflict with another transaction. */
  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** True if PostgreSQL answers and takes writes. */
  isWritable(): Promise<boolean>;
  close(): Promise<void>;
};

/** Maximum number of times that work is done which conflicts with other transactions. */
const maxTries = 5;

/** Makes a pool of connections. It connects at the first use. */
export function createDatabase({
  Client,
  schema,
  pool,
  isPooled,
}: {
  Client: ClientClass;
  schema: string;
  pool: number;
  /** True behind a pooler in transaction mode: no session belongs to a client there. */
  isPooled: boolean;
}): Database {
  const options: Options & Pick<Config, "keepDefaultTimezone"> = {
    dialect: "postgres",
    dialectModule: { Client, types: pg.types },
    logging: false,
    define: { schema, underscored: true, timestamps: true },
    pool: { max: pool, idle: 30_000, acquire: connectMs },
    // Client opens its connections with these settings; Sequelize must not SET them.
    keepDefaultTimezone: true,
    standardConformingStrings: false,
    dialectOptions: { clientMinMessages: "ignore" },
  };
  const sequelize = new Sequelize(options);
  const { connectionManager } = sequelize;
  const qualified = createQualifier(schema);

  async function use<T>(work: () => Promise<T>, patience = ordinary): Promise<T> {
    try {
      return await within(patience, work());
    } catch (error) {
      throw isOutage(error) ? new StoreUnavailable(error) : error;
    }
  }

  async function onConnection<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = (await connectionManager.getConnection({ type: "read" })) as pg.Client;
    try {
      return await work(client);
    } finally {
      connectionManager.releaseConnection(client);
    }
  }

  function rows<Row extends object>(
    { sql, name, patience = ordinary }: Statement,
    bind: readonly unknown[] = [],
    transaction?: Transaction,
  ): Promise<Row[]> {
    const query: ClientQuery = {
      text: qualified(sql, name),
      values: [...bind],
      silenceMs: patience.silenceMs,
      ...(name !== undefined && !isPooled && { name }),
    };
    const run = async (client: pg.Client) => (await client.query<Row>(query)).rows;
    if (transaction) return use(() => run(clientOf(transaction)), patience);
    return use(() => repeated(() => onConnection(run)), patience);
  }

  const limit = pLimit(Math.max(1, Math.floor(pool / 2)));

  async function slowRows<Row extends object>(sql: string, bind: readonly unknown[]): Promise<Row[]> {
    const query: ClientQuery = {
      text: qualified(sql),
      // NUL is stored as U+FFFD.
      values: bind.map((value) => (typeof value === "string" ? value.replaceAll("\0", "\ufffd") : value)),
      silenceMs: slow.silenceMs,
    };
    const read = (client: pg.Client) =>
      isPooled ? inShortTransaction(client, () => client.query<Row>(query)) : client.query<Row>(query);
    try {
      return (await use(() => limit(() => repeated(() => onConnection(read))), slow)).rows;
    } catch (error) {
      if (error instanceof StoreUnavailable && sqlStateOf(error.cause) === "57014")
        throw new DeadlineExceeded(tookTooLong);
      throw error;
    }
  }

  return {
    sequelize,
    rows,
    use,
    slowRows,
    transact: (work) => use(() => repeated(() => sequelize.transaction(work)), slow),
    async isWritable() {
      const found = await rows<{ writable: boolean }>({ sql: isWritableSql }).catch(() => []);
      return found[0]?.writable === true;
    },
    close: () => sequelize.close(),
  };
}

/** After a failover, the old address may lead to a server that only reads. */
const isWritableSql =
  "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' AS writable";

const tookTooLong = `the query took longer than ${statementTimeoutMs / 1000} s; narrow the filter, or ask for less`;

/** Puts the operator's schema in the place of `sigrun`; statements with a name are kept. */
function createQualifier(schema: string): (sql: string, name?: string) => string {
  const kept = new Map<string, string>();
  const qualify = (sql: string) => sql.replace(/\bsigrun\./g, `"${schema}".`);
  return (sql, name) => {
    if (name === undefined) return qualify(sql);
    const text = kept.get(name) ?? qualify(sql);
    kept.set(name, text);
    return text;
  };
}

/** Sequelize's types leave out the connection of a transaction. */
const clientOf = (transaction: Transaction) =>
  (transaction as unknown as { connection: pg.Client }).connection;

/** Behind a pooler, only a transaction can have a time-out of its own. */
async function inShortTransaction<T>(client: pg.Client, read: () => Promise<T>): Promise<T> {
  await client.query(`BEGIN; SET LOCAL statement_timeout = ${statementTimeoutMs}`);
  try {
    return await read();
  } finally {
    await client.query("COMMIT");
  }
}

async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const cause = error instanceof StoreUnavailable ? error.cause : error;
      if (!isConflict(cause) || attempt === maxTries) throw error;
      // Several that collided must not collide again.
      await sleep(Math.random() * 20 * attempt);
    }
  }
}
