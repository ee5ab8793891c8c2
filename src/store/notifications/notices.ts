import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Logger } from "../../telemetry.ts";
import type { Database } from "../database.ts";

/** A message of one gateway to all. */
export type Notice = {
  /**
   * "cancel": end the run. "wait": a caller of this gateway waits for the run. "change": executions
   * of the project have changed. "optimization": the optimization has changed.
   */
  readonly kind: "cancel" | "wait" | "change" | "optimization";
  readonly project: string;
  readonly id: string;
};

export type Notices = {
  send(notice: Notice): Promise<void>;
  /**
   * Calls the listener with notices of all gateways, this one included. Notices that are sent while
   * the connection is away are lost, so senders repeat them and listeners poll too.
   */
  listen(listener: (notice: Notice) => void): void;
  close(): Promise<void>;
};

const channel = "sigrun";
const retryMs = 1_000;

/** Notices by PostgreSQL's LISTEN and NOTIFY, on a connection that is not of the pool. */
export function createNotices(
  database: Database,
  { url, schema, log }: { url: string; schema: string; log: Logger },
): Notices {
  const listeners: ((notice: Notice) => void)[] = [];
  let client: pg.Client | undefined;
  let isClosed = false;
  let listening: Promise<void> | undefined;

  async function keepListening(): Promise<void> {
    while (!isClosed) {
      const current = new pg.Client({ connectionString: url, application_name: "sigrun", keepAlive: true });
      client = current;
      const lost = new Promise<void>((resolve) => {
        current.on("error", () => resolve());
        current.on("end", () => resolve());
      });
      current.on("notification", ({ payload = "" }) => receive(payload));
      try {
        // If the client is ended while it connects, pg never settles the promise of connect.
        await Promise.race([current.connect().then(() => current.query(`LISTEN ${channel}`)), lost]);
        await lost;
      } catch (error) {
        log.debug({ err: error }, "no connection for notices; retrying");
      }
      await current.end().catch(() => {});
      if (!isClosed) await sleep(retryMs);
    }
  }

  /** Gateways on other schemas of the same database share the channel. */
  function receive(payload: string): void {
    const { schema: sender, ...notice } = JSON.parse(payload) as Notice & { schema: string };
    if (sender === schema) for (const listener of listeners) listener(notice);
  }

  return {
    async send(notice) {
      const payload = JSON.stringify({ schema, ...notice });
      await database.rows({ sql: "SELECT pg_notify($1, $2)", name: "notify" }, [channel, payload]);
    },
    listen(listener) {
      listeners.push(listener);
      listening ??= keepListening();
    },
    async close() {
      isClosed = true;
      await client?.end().catch(() => {});
      await listening;
    },
  };
}
