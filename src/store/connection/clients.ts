import type { DatabaseAddress } from "../../database-url/address.ts";
import type { Logger } from "../../telemetry.ts";
import { type ClientClass, createClientClass } from "./client.ts";
import { endless, ordinary, slow, statementTimeoutMs } from "./patience.ts";

export type Connections = {
  readonly database: DatabaseAddress;
  /** Past a pooler, for notices and migrations. */
  readonly direct: DatabaseAddress | undefined;
  /** True if `database` leads to a pooler in transaction mode. */
  readonly isPooled: boolean;
  readonly log: Logger;
};

export type Clients = {
  /** Queries of callers. */
  readonly Query: ClientClass;
  /** The job queue. */
  readonly Job: ClientClass;
  /** Notices. */
  readonly Listen: ClientClass;
  readonly Migration: ClientClass;
};

/** Settings that a database or a role may have changed, and on which statements and pg rely. */
const session = {
  application_name: "sigrun",
  DateStyle: "ISO, MDY",
  TimeZone: "UTC",
  standard_conforming_strings: "on",
};
/** A pooler in transaction mode refuses these, because a session belongs to none of its clients. */
const sessionOfOwn = {
  ...session,
  client_min_messages: "warning",
  IntervalStyle: "postgres",
  default_transaction_isolation: "read committed",
  search_path: "pg_catalog",
  statement_timeout: "0",
  lock_timeout: "0",
};
const timeouts = {
  statement_timeout: String(statementTimeoutMs),
  idle_in_transaction_session_timeout: String(statementTimeoutMs),
};

/** The connections of a gateway: each kind has the patience of what runs on it. */
export function createClients({ database, direct, isPooled, log }: Connections): Clients {
  const queries = isPooled ? session : { ...sessionOfOwn, ...timeouts };
  const others = isPooled && !direct ? session : sessionOfOwn;
  const made = { address: database, session: queries, log };
  const madeDirectly = { address: direct ?? database, session: others, log };
  return {
    Query: createClientClass({ ...made, patience: ordinary }),
    Job: createClientClass({ ...made, patience: slow }),
    Listen: createClientClass({ ...madeDirectly, patience: ordinary }),
    Migration: createClientClass({ ...madeDirectly, patience: endless }),
  };
}
