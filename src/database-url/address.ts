import type { ConnectionOptions } from "node:tls";

export type Host = {
  /** A name, an IP address, or the folder of a Unix socket, which begins with a slash. */
  readonly host: string;
  readonly port: number;
};

/** Where a database is, and how to connect to it. */
export type DatabaseAddress = {
  /** Tried in this order. */
  readonly hosts: readonly Host[];
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** Undefined: no TLS. */
  readonly tls: { readonly isOptional: boolean; readonly options: ConnectionOptions } | undefined;
  /** Settings of PostgreSQL, as command-line options. */
  readonly options: string | undefined;
  /** True if a server that only reads is passed over. */
  readonly mustWrite: boolean;
};
