import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Logger } from "../../telemetry.ts";
import type { Database } from "../database.ts";

/** What one gateway tells the others. */
export type Notice = {
  /** End the run; or: somebody here waits for it; or: executions have changed, whichever; or: that optimization has. */
  readonly kind: "cancel" | "wait" | "change" | "optimization";
  readonly project: string;
  readonly id: string;
};

export type Notices = {
  send(notice: Notice): Promise<void>;
  /** Calls the listener with what any gateway sends, this one too. What is sent while the connection is away is lost: whoever sends asks again. */
  listen(listener: (notice: Notice) => void): void;
  close(): Promise<void>;
};

const channel = "sigrun";
const retryMs = 1_000;

/** PostgreSQL's LISTEN and NOTIFY, on a connection of its own beside the pool. */
export function createNotices(
  database: Database,
  { url, schema, log }: { url: string; schema: string; log: Logger },
): Notices {
  const listeners: ((notice: Notice) => void)[] = [];
  let client: pg.Client | undefined;
  let closed = false;
  let listening: Promise<void> | undefined;

  async function keepListening(): Promise<void> {
    while (!closed) {
      const current = new pg.Client({ connectionString: url, application_name: "sigrun", keepAlive: true });
      client = current;
      const lost = new Promise<void>((resolve) => {
        current.on("error", () => resolve());
        current.on("end", () => resolve());
      });
      current.on("notification", ({ payload = "" }) => hear(payload));
      try {
        // Whoever ends a client while it connects is told so by the event alone: pg never settles the promise.
        await Promise.race([current.connect().then(() => current.query(`LISTEN ${channel}`)), lost]);
        await lost;
      } catch (error) {
        log.debug({ err: error }, "the connection for notices could not be made; trying again");
      }
      await current.end().catch(() => {});
      if (!closed) await sleep(retryMs);
    }
  }

  /** Gateways on other schemas of the same database hear it too. */
  function hear(payload: string): void {
    const { schema: from, ...notice } = JSON.parse(payload) as Notice & { schema: string };
    if (from === schema) for (const listener of listeners) listener(notice);
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
      closed = true;
      await client?.end().catch(() => {});
      await listening;
    },
  };
}
