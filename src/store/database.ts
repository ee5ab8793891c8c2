import pLimit from "p-limit";
import pg from "pg";
import { ConnectionError, DatabaseError, Sequelize, TimeoutError, type Transaction } from "sequelize";
import { DeadlineExceeded, Fault, StoreUnavailable } from "../domain/faults.ts";
import type { Logger } from "../telemetry.ts";

/** How long a statement may take before PostgreSQL ends it. */
const statementTimeoutMs = 10_000;
const connectTimeoutMs = 5_000;

export type Database = {
  readonly sequelize: Sequelize;
  /**
   * Asks a statement that is asked often, on a connection of the pool but by pg alone: Sequelize's own way costs more than the statement does.
   * Where it has a name it is planned once a connection, so that must be a plan which stays good as tables grow.
   */
  rows<Row extends object>(
    statement: { sql: string; name?: string },
    bind: readonly unknown[],
  ): Promise<Row[]>;
  /** Does work with the database; where that is away, the fault is StoreUnavailable. */
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Asks what may take long. No more than half of the connections do at a time: runs are recorded whatever is asked. */
  ask<T>(work: () => Promise<T>): Promise<T>;
  /** Does work in one transaction: all of it or nothing. */
  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** True while PostgreSQL answers. */
  answers(): Promise<boolean>;
  close(): Promise<void>;
};

/** Opens a pool of connections; none is made before the first use. */
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
      // The type of a raw connection is Sequelize's own secret; it is pg's Client.
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

  const inLine = pLimit(Math.max(1, Math.floor(options.pool / 2)));

  async function ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await inLine(() => use(work));
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
    ask,
    transact: (work) => use(() => sequelize.transaction(work)),
    answers: () =>
      sequelize.query("SELECT 1").then(
        () => true,
        () => false,
      ),
    close: () => sequelize.close(),
  };
}

const tookTooLong = `the database has worked on this for ${statementTimeoutMs / 1000} s and is not done; narrow the filter, or ask for less`;

/** What PostgreSQL calls an error; undefined where it is none of its. */
export function sqlStateOf(error: unknown): string | undefined {
  const cause = error instanceof DatabaseError ? error.parent : error;
  return cause instanceof pg.DatabaseError ? cause.code : undefined;
}

/** SQLSTATE classes that say that the server, not the statement, is the trouble. */
const outageStates = /^(08|53|57P0[1-5]|57014|55P03|25P03)/;

function isOutage(error: unknown): boolean {
  if (error instanceof Fault) return false;
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  const cause = error instanceof DatabaseError ? error.parent : error;
  const { code, message } = cause as { code?: unknown; message?: unknown };
  if (typeof code === "string")
    return outageStates.test(code) || /^E(CONN|PIPE|TIMEDOUT|HOSTUNREACH|AI_AGAIN)/.test(code);
  // pg has no code for a socket that closes under a query.
  return (
    typeof message === "string" &&
    /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout)/.test(
      message,
    )
  );
}
