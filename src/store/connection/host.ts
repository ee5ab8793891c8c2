import { connect } from "node:net";
import pg from "pg";
import type { DatabaseAddress, Host } from "../../database-url/address.ts";
import { connectMs } from "./patience.ts";

/** The host that a connection takes, and whether with TLS. */
export type Choice = { readonly host: Host; readonly hasTls: boolean };

/** Length 8 and the code of an SSLRequest of PostgreSQL's protocol. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * Chooses the host and TLS of each new connection. With one host and settled TLS, nothing is asked.
 * Several hosts are tried in order, from the one that was good last, until one takes writes.
 */
export function createHostChoice({
  hosts,
  tls,
  mustWrite,
  ...address
}: DatabaseAddress): () => Promise<Choice> {
  let last = 0;
  /** Whether each host offers TLS, as long as connections succeed. */
  const offers = new Map<Host, Promise<boolean>>();

  function ask(host: Host): Promise<boolean> {
    const asked = offers.get(host) ?? offersTls(host);
    offers.set(host, asked);
    asked.catch(() => offers.delete(host));
    return asked;
  }

  async function choose(host: Host): Promise<Choice> {
    const hasTls = tls !== undefined && (!tls.isOptional || (await ask(host)));
    if (hosts.length === 1 && !mustWrite) return { host, hasTls };
    const client = new pg.Client({
      ...host,
      ...address,
      ssl: hasTls && tls.options,
      connectionTimeoutMillis: connectMs,
    });
    client.on("error", () => {});
    try {
      await client.connect();
      const { rows } = await client.query<{ reads: boolean }>(readsOnlySql);
      if (mustWrite && rows[0]?.reads) throw takesNoWrites(host);
      return { host, hasTls };
    } finally {
      await client.end();
    }
  }

  return async () => {
    const causes: unknown[] = [];
    for (let step = 0; step < hosts.length; step++) {
      const index = (last + step) % hosts.length;
      try {
        const choice = await choose(hosts[index] as Host);
        last = index;
        return choice;
      } catch (error) {
        causes.push(error);
      }
    }
    throw causes[0];
  };
}

const takesNoWrites = ({ host, port }: Host) =>
  Object.assign(new Error(`${host}:${port} takes no writes`), { code: "25006" });

const readsOnlySql = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS reads";

/** Asks a server whether it speaks TLS, as sslmode=prefer does. */
function offersTls({ host, port }: Host): Promise<boolean> {
  if (host.startsWith("/")) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    const timer = setTimeout(() => socket.destroy(new Error("timeout expired")), connectMs);
    socket.on("connect", () => socket.write(sslRequest));
    socket.on("data", ([answer]) => {
      resolve(answer === "S".charCodeAt(0));
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      reject(new Error("Connection terminated unexpectedly"));
    });
  });
}
