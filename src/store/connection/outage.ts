import pg from "pg";
import { ConnectionError, DatabaseError, TimeoutError } from "sequelize";
import { Fault } from "../../domain/faults.ts";

/** The SQLSTATE of an error; undefined if the error is not PostgreSQL's. */
export function sqlStateOf(error: unknown): string | undefined {
  const cause = error instanceof DatabaseError ? error.parent : error;
  return cause instanceof pg.DatabaseError ? cause.code : undefined;
}

/**
 * SQLSTATEs of errors that the server's state caused, and not the statement: connections, lack of
 * resources, shutdowns, time-outs, read-only servers, conflicts of transactions, input and output.
 */
const outageStates = /^(08|53|58|57P0[1-5]|57014|55P03|25P0[34]|25006|40001|40P01|40003)/;
/**
 * SQLSTATEs after which the connection is closed: it leads to a server that only reads or ends, or
 * to one that does not know the statements which were prepared on this connection.
 */
const lostStates = /^(08|57P0[1-5]|25P0[34]|25006|26000|42P05)/;
/** A deadlock or a conflict with another transaction: the same work succeeds when repeated. */
const conflictStates = /^(40001|40P01)/;
/** Data exceptions, violated constraints, exceeded limits of the server. */
const valueStates = /^(22|23|54)/;
const networkCodes = /^E(CONN|PIPE|TIMEDOUT|HOSTUNREACH|HOSTDOWN|NETUNREACH|NETDOWN|AI_AGAIN|NOTFOUND)/;
/** What pg throws without a code, if a socket closes or a connection can't be opened in time. */
const pgMessages =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout e|ConnectionManager.getConnection was called after)/;

/** True if the database is away or can't do any work, so that the same work may succeed later. */
export function isOutage(error: unknown): boolean {
  if (error instanceof Fault) return false;
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  const cause = error instanceof DatabaseError ? error.parent : error;
  const { code, message } = (cause ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === "string")
    return outageStates.test(code) || lostStates.test(code) || networkCodes.test(code);
  return typeof message === "string" && pgMessages.test(message);
}

/** True if the connection is of no use after this error, though its socket may still be open. */
export const isConnectionLost = (error: unknown): boolean => lostStates.test(sqlStateOf(error) ?? "");

/** True if the transaction was rolled back because of another one, and can be repeated at once. */
export const isConflict = (error: unknown): boolean => conflictStates.test(sqlStateOf(error) ?? "");

/**
 * True if the database, or the client before it, refuses a value: the same value will be refused
 * again.
 */
export function isRefusedValue(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === undefined || valueStates.test(state);
}
