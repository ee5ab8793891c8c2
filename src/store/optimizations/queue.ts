import { PgBoss } from "pg-boss";
import type { Transaction } from "sequelize";
import type { Logger } from "../../telemetry.ts";
import type { ClientClass } from "../connection/client.ts";
import type { Database } from "../database.ts";
import type { Notices } from "../notifications/notices.ts";

/** An optimization to work on. */
export type Job = { readonly project: string; readonly id: string };

export type Queue = {
  /** Enqueues a job in the caller's transaction. Another gateway may take it again after maxMs. */
  enqueue(job: Job, maxMs: number, transaction: Transaction): Promise<void>;
  /** Tells all gateways that a job was enqueued, once its transaction has ended. */
  announce(job: Job): void;
  /**
   * Handles every job at least once. A job whose handler throws is retried, on any gateway. The
   * signal aborts if the job was given to another gateway.
   */
  work(handle: (job: Job, signal: AbortSignal) => Promise<void>): Promise<void>;
  /** Takes no further jobs, and resolves when those in flight have ended. */
  stop(): Promise<void>;
};

const queueName = "optimizations";
/** Maximum number of jobs that one gateway handles at the same time. */
const concurrency = 2;
/** For jobs of which no notice came: it was lost, or a pooler hands on none. */
const pollS = 0.5;
/**
 * A gateway counts as dead after 10 s without a heartbeat. pg-boss checks every 5 s, so that other
 * gateways take its jobs within 20 s.
 */
const heartbeatTimeoutS = 10;
const heartbeatIntervalS = 2;
const superviseS = 5;
/**
 * In effect no maximum: attempts are counted on the record, and a job waits while the sidecar is
 * away.
 */
const maxRetries = 100_000;
/** Time for setup and records, on top of the work's own maximum. */
const slackS = 600;
const stopMs = 10_000;
/** Minimum time between two warnings: without a database there are several errors a second. */
const warnIntervalMs = 10_000;

/** Opens pg-boss's queue, whose tables are in a PostgreSQL schema of their own; see migrate.ts. */
export async function openQueue(
  database: Database,
  options: { Client: ClientClass; schema: string; notices: Notices; log: Logger },
): Promise<Queue> {
  const { Client, schema, notices, log } = options;
  // pg-boss gives its options to pg's pool, whose Client its types leave out.
  const pool = { Client, max: 2 };
  const boss = new PgBoss({
    ...pool,
    schema,
    migrate: false,
    schedule: false,
    superviseIntervalSeconds: superviseS,
    monitorIntervalSeconds: superviseS,
  });
  let warnedAt = Number.NEGATIVE_INFINITY;
  boss.on("error", ({ message }) => {
    const isDue = performance.now() - warnedAt >= warnIntervalMs;
    if (isDue) warnedAt = performance.now();
    log[isDue ? "warn" : "debug"]({ why: message }, "the job queue can't reach the database; retrying");
  });
  boss.on("warning", (warning) => log.debug({ warning }, "a warning of the job queue"));
  await boss.start();
  await boss.createQueue(queueName, {
    heartbeatSeconds: heartbeatTimeoutS,
    retryLimit: maxRetries,
    retryDelay: 1,
    deleteAfterSeconds: 3_600,
    retentionSeconds: 30 * 86_400,
  });

  return {
    async enqueue(job, maxMs, transaction) {
      const executeSql = async (sql: string, values: unknown[] = []) => ({
        rows: await database.rows({ sql }, values, transaction),
      });
      await boss.send(queueName, job, {
        db: { executeSql },
        expireInSeconds: Math.ceil(maxMs / 1000) + slackS,
      });
    },

    announce: ({ project, id }) => void notices.send({ kind: "job", project, id }).catch(() => {}),

    async work(handle) {
      const options = {
        batchSize: 1,
        pollingIntervalSeconds: pollS,
        heartbeatRefreshSeconds: heartbeatIntervalS,
      };
      const startWorker = () =>
        boss.work<Job>(queueName, options, async (jobs) => {
          for (const { data, signal } of jobs) await handle(data, signal);
        });
      const workers = await Promise.all(Array.from({ length: concurrency }, startWorker));
      notices.listen(({ kind }) => {
        if (kind === "job") for (const worker of workers) boss.notifyWorker(worker);
      });
    },

    stop: () => boss.stop({ graceful: true, timeout: stopMs }),
  };
}
