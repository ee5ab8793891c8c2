import pLimit from "p-limit";
import pg from "pg";
import { ConnectionError, DatabaseError, Sequelize, TimeoutError, type Transaction } from "sequelize";
import { DeadlineExceeded, Fault, StoreUnavailable } from "../domain/faults.ts";
import type { Logger } from "../telemetry.ts";

/** PostgreSQL cancels a statement after this time. */
const statementTimeoutMs = 10_000;
const connectTimeoutMs = 5_000;

export type Database = {
  readonly sequelize: Sequelize;
  /**
   * Runs a frequent statement on a connection of the pool, by pg alone: Sequelize's own query would
   * cost more CPU than the statement. A statement with a name is prepared and planned once for each
   * connection, so its plan must stay good as tables grow.
   */
  rows<Row extends object>(
    statement: { sql: string; name?: string },
    bind: readonly unknown[],
  ): Promise<Row[]>;
  /** Does work with the database. Throws StoreUnavailable if the database is away. */
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Runs slow reads on at most half of the connections, so that runs can be recorded meanwhile. */
  slowRead<T>(work: () => Promise<T>): Promise<T>;
  /** Does work in one transaction. */
  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** True if PostgreSQL answers. */
  answers(): Promise<boolean>;
  close(): Promise<void>;
};

/** Makes a pool of connections. It connects at the first use. */
export function createDatabase(options: {
  url: string;
  schema: string;
  pool: number;
  log: Logger;
}): Database {
  const sequelize = new Sequelize(options.url, {
    dialect: "postgres",
    logging: false,
    define: { underscored: true, timestamps: true },
    pool: { max: options.pool, idle: 30_000, acquire: connectTimeoutMs },
    dialectOptions: {
      application_name: "sigrun",
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: statementTimeoutMs,
      keepAlive: true,
    },
    hooks: {
      // Sequelize does not export the type of its raw connections, which are pg's Client.
      afterConnect: async (connection) => {
        const client = connection as {
          on(event: "error", listener: (error: Error) => void): void;
          query(sql: string): Promise<unknown>;
        };
        client.on("error", (error) => options.log.warn({ err: error }, "a database connection was lost"));
        await client.query(`SET search_path TO "${options.schema}"`);
      },
    },
  });

  async function use<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw isOutage(error) ? new StoreUnavailable(error) : error;
    }
  }

  async function rows<Row extends object>(
    { sql, name }: { sql: string; name?: string },
    bind: readonly unknown[],
  ): Promise<Row[]> {
    const { connectionManager } = sequelize;
    const client = (await connectionManager.getConnection({ type: "read" })) as pg.Client;
    try {
      return (await client.query<Row>({ text: sql, values: [...bind], ...(name !== undefined && { name }) }))
        .rows;
    } finally {
      connectionManager.releaseConnection(client);
    }
  }

  const limit = pLimit(Math.max(1, Math.floor(options.pool / 2)));

  async function slowRead<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await limit(() => use(work));
    } catch (error) {
      if (error instanceof StoreUnavailable && sqlStateOf(error.cause) === "57014")
        throw new DeadlineExceeded(tookTooLong);
      throw error;
    }
  }

  return {
    sequelize,
    rows: (statement, bind) => use(() => rows(statement, bind)),
    use,
    slowRead,
    transact: (work) => use(() => sequelize.transaction(work)),
    answers: () =>
      sequelize.query("SELECT 1").then(
        () => true,
        () => false,
      ),
    close: () => sequelize.close(),
  };
}

const tookTooLong = `the query took longer than ${statementTimeoutMs / 1000} s; narrow the filter, or ask for less`;

/** The SQLSTATE of an error; undefined if the error is not PostgreSQL's. */
export function sqlStateOf(error: unknown): string | undefined {
  const cause = error instanceof DatabaseError ? error.parent : error;
  return cause instanceof pg.DatabaseError ? cause.code : undefined;
}

/** SQLSTATEs of errors that the server's state caused, and not the statement. */
const outageStates = /^(08|53|57P0[1-5]|57014|55P03|25P03)/;

function isOutage(error: unknown): boolean {
  if (error instanceof Fault) return false;
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  const cause = error instanceof DatabaseError ? error.parent : error;
  const { code, message } = cause as { code?: unknown; message?: unknown };
  if (typeof code === "string")
    return outageStates.test(code) || /^E(CONN|PIPE|TIMEDOUT|HOSTUNREACH|AI_AGAIN)/.test(code);
  // pg gives no code if the socket closes during a query.
  return (
    typeof message === "string" &&
    /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout)/.test(
      message,
    )
  );
}
