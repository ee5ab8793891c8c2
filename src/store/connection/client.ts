import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import pg from "pg";
import type { DatabaseAddress } from "../../database-url/address.ts";
import type { Logger } from "../../telemetry.ts";
import { createHostChoice } from "./host.ts";
import { isConnectionLost } from "./outage.ts";
import { connectMs, type Patience } from "./patience.ts";

/** pg's Client with what its types leave out. */
type Client = pg.Client & {
  readonly connection: { readonly stream: Socket };
  getTransactionStatus(): "I" | "T" | "E" | null;
  getStartupConf(): Record<string, string>;
  readonly _ending: boolean;
};
/** A statement may have a patience of its own. */
export type ClientQuery = pg.QueryConfig & { readonly silenceMs?: number };

export type ClientClass = new (config?: pg.ClientConfig) => pg.Client;

/** The kernel asks an idle peer after this time, and gives up 10 s later. */
const keepAliveMs = 5_000;

/**
 * Makes the class of all connections to one database: those of the pool, of notices and of the job
 * queue. A connection that falls silent during a statement, or that leads to a server which only
 * reads or shuts down, is closed, and so are those that idle beside it: they are as old, and each
 * would cost another caller the same wait.
 */
export function createClientClass(options: {
  address: DatabaseAddress;
  /** Settings of PostgreSQL that the connection opens with. */
  session: Readonly<Record<string, string>>;
  patience: Patience;
  log: Logger;
}): ClientClass {
  const { address, session, patience, log } = options;
  const { user, password, database, tls } = address;
  const choose = createHostChoice(address);
  const connected = new Set<Client>();

  const close = (client: Client, error: Error) => client.connection.stream.destroy(error);

  function closeAll(client: Client, error: Error): void {
    close(client, error);
    for (const other of connected)
      if (other.getTransactionStatus() === "I" && !isBusy(other)) close(other, error);
  }

  const busy = new WeakMap<Client, number>();
  const isBusy = (client: Client) => (busy.get(client) ?? 0) > 0;

  /** Calls query() and returns what it returns; `settled` is called with its error, if any. */
  function ask(client: Client, query: Ask, args: unknown[], settled: (error?: unknown) => void): unknown {
    const last = args.at(-1);
    if (typeof last === "function") {
      const callback = (error: unknown, result: unknown) => {
        settled(error);
        last(error, result);
      };
      return query.apply(client, [...args.slice(0, -1), callback]);
    }
    const answer = query.apply(client, args) as Promise<unknown>;
    answer.then(() => settled(), settled);
    return answer;
  }

  /** Closes the connection of a statement when no byte went either way for so long. */
  function watch(client: Client, query: Ask, args: unknown[]): unknown {
    const silenceMs = (args[0] as ClientQuery).silenceMs ?? patience.silenceMs;
    let timer: NodeJS.Timeout | undefined;
    let bytes = 0;
    const listen = () => {
      const { stream } = client.connection;
      const moved = stream.bytesRead + stream.bytesWritten - stream.writableLength;
      // A large value takes its time: a byte that moved starts the time anew.
      if (moved === bytes && timer) return closeAll(client, silence(silenceMs));
      bytes = moved;
      timer = setTimeout(listen, silenceMs);
    };
    busy.set(client, (busy.get(client) ?? 0) + 1);
    const answer = ask(client, query, args, (error) => {
      clearTimeout(timer);
      busy.set(client, (busy.get(client) ?? 1) - 1);
      if (isConnectionLost(error)) closeAll(client, error as Error);
    });
    if (Number.isFinite(silenceMs)) listen();
    return answer;
  }

  async function open(client: Client, connect: () => Promise<void>): Promise<void> {
    const { host, hasTls } = await choose();
    if (client._ending) throw new Error("Connection terminated");
    const ssl = hasTls && tls ? tls.options : false;
    Object.assign(client, host, { ssl });
    Object.assign(client.connection, { ssl });
    await connect.call(client);
  }

  return class extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      const keepAlive = { keepAlive: true, keepAliveInitialDelayMillis: keepAliveMs };
      const login = { user, database, ...(password !== undefined && { password }) };
      const { options } = address;
      super({
        ...config,
        ...login,
        ...(options && { options }),
        ...keepAlive,
        ssl: false,
        connectionTimeoutMillis: connectMs,
      });
      const client = this as unknown as Client;
      const connect = this.connect as () => Promise<void>;
      this.connect = ((callback?: (error: unknown) => void) => {
        const opened = open(client, connect);
        if (callback) opened.then(() => callback(null), callback);
        return opened;
      }) as typeof this.connect;
      const startup = client.getStartupConf;
      client.getStartupConf = () => ({ ...startup.call(client), ...session });
      const query = this.query as Ask;
      this.query = ((...args: unknown[]) => watch(client, query, args)) as typeof this.query;
      const events = client as EventEmitter;
      events.on("connect", () => connected.add(client));
      events.on("end", () => connected.delete(client));
      // Without a listener, an error of the socket would end the gateway.
      events.on("error", (error) => log.warn({ err: error }, "a database connection was lost"));
    }
  };
}

type Ask = (...args: unknown[]) => unknown;

const silence = (ms: number) =>
  Object.assign(new Error(`the database did not answer for ${ms / 1000} s`), { code: "ETIMEDOUT" });
