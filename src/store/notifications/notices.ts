import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Logger } from "../../telemetry.ts";
import type { ClientClass } from "../connection/client.ts";
import type { Database } from "../database.ts";

/** A message of one gateway to all. */
export type Notice = {
  /**
   * "cancel": end the run. "wait": a caller of this gateway waits for the run. "change": executions
   * of the project have changed. "optimization": the optimization has changed. "job": it is in the
   * queue.
   */
  readonly kind: "cancel" | "wait" | "change" | "optimization" | "job";
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
  /** Interval at which listeners poll: notices may be lost, or can't be heard at all. */
  readonly pollMs: number;
  close(): Promise<void>;
};

const channel = "sigrun";
const retryMs = 1_000;
/** Interval at which the connection is asked whether it still answers. */
const askMs = 5_000;
/** Interval at which a gateway that can't listen reads the notices. */
const pollMs = 500;
/** Maximum delay of a change whose notice was lost. */
const lostNoticeMs = 1_000;
/** Age up to which notices are read. */
const readMs = 5_000;
/** Age after which notices are deleted. */
const keptMs = 60_000;

/** Notices by PostgreSQL's LISTEN and NOTIFY, on a connection that is not of the pool. */
export function createNotices(
  database: Database,
  {
    Client,
    schema,
    canListen,
    log,
  }: { Client: ClientClass; schema: string; canListen: boolean; log: Logger },
): Notices {
  const listeners: ((notice: Notice) => void)[] = [];
  let client: pg.Client | undefined;
  let isClosed = false;
  const closing = new AbortController();
  let listening: Promise<void> | undefined;

  async function keepListening(): Promise<void> {
    while (!isClosed) {
      const current = new Client();
      client = current;
      const lost = new Promise<void>((resolve) => {
        current.on("error", () => resolve());
        current.on("end", () => resolve());
      });
      current.on("notification", ({ payload = "" }) => receive(payload));
      try {
        // If the client is ended while it connects, pg never settles the promise of connect.
        await Promise.race([current.connect().then(() => current.query(`LISTEN ${channel}`)), lost]);
        await Promise.race([lost, ask(current)]);
      } catch (error) {
        log.debug({ err: error }, "no connection for notices; retrying");
      }
      await current.end().catch(() => {});
      if (!isClosed) await sleep(retryMs, undefined, { signal: closing.signal }).catch(() => {});
    }
  }

  /** A connection that only listens would not find out that its peer is gone. */
  async function ask(current: pg.Client): Promise<never> {
    for (;;) {
      await sleep(askMs, undefined, { ref: false });
      await current.query("SELECT 1");
    }
  }

  /** Reads what was sent in the last seconds: ids are not committed in their order. */
  async function keepReading(): Promise<void> {
    let known = new Set<string>();
    let isFirst = true;
    while (!isClosed) {
      try {
        const found = await database.rows<Notice & { number: string }>({ sql: readSql }, [readMs]);
        const fresh = isFirst ? [] : found.filter(({ number }) => !known.has(number));
        known = new Set(found.map(({ number }) => number));
        isFirst = false;
        for (const { number: _, ...notice } of fresh) deliver(notice);
      } catch (error) {
        log.debug({ err: error }, "failed to read notices; retrying");
      }
      await sleep(pollMs, undefined, { signal: closing.signal }).catch(() => {});
    }
  }

  function deliver(notice: Notice): void {
    for (const listener of listeners) listener(notice);
  }

  /** Gateways on other schemas of the same database share the channel. */
  function receive(payload: string): void {
    const { schema: sender, ...notice } = JSON.parse(payload) as Notice & { schema: string };
    if (sender === schema) deliver(notice);
  }

  return {
    async send(notice) {
      const payload = JSON.stringify({ schema, ...notice });
      const { kind, project, id } = notice;
      // These need no row: who can't listen reads the log of changes, or asks the queue.
      if (kind === "change" || kind === "optimization" || kind === "job")
        await database.rows({ sql: "SELECT pg_notify($1, $2)", name: "notify" }, [channel, payload]);
      else
        await database.rows({ sql: sendSql, name: "send notice" }, [
          channel,
          payload,
          kind,
          project,
          id,
          keptMs,
        ]);
    },
    listen(listener) {
      listeners.push(listener);
      listening ??= canListen ? keepListening() : keepReading();
    },
    pollMs: canListen ? lostNoticeMs : pollMs,
    async close() {
      isClosed = true;
      closing.abort();
      await client?.end().catch(() => {});
      await listening;
    },
  };
}

const readSql = `
  SELECT id::text AS number, kind, project_id AS project, about AS id FROM sigrun.notices
  WHERE sent_at > clock_timestamp() - $1 * interval '1 millisecond' ORDER BY notices.id`;

// The row is for gateways that can't listen, in the same commit.
const sendSql = `
  WITH old AS (
    DELETE FROM sigrun.notices WHERE id IN (
      SELECT id FROM sigrun.notices WHERE sent_at < clock_timestamp() - $6 * interval '1 millisecond'
      ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
    )
  ), kept AS (
    INSERT INTO sigrun.notices (kind, project_id, about) VALUES ($3, $4, $5)
  )
  SELECT pg_notify($1, $2)`;
