import { PgBoss } from "pg-boss";
import { QueryTypes, type Transaction } from "sequelize";
import type { Logger } from "../../telemetry.ts";
import type { Database } from "../database.ts";

/** What is to be done without a caller. */
export type Job = { readonly project: string; readonly id: string };

export type Queue = {
  /** Has a job done that takes no longer than that, once the transaction is committed. */
  enqueue(job: Job, longestMs: number, transaction: Transaction): Promise<void>;
  /** Does jobs as they come, at least once each; one that throws comes again, here or on another gateway. The signal says that it has been given to somebody else. */
  work(handle: (job: Job, signal: AbortSignal) => Promise<void>): Promise<void>;
  /** Takes no further jobs; resolves when those under way have ended. */
  stop(): Promise<void>;
};

const queueName = "optimizations";
/** At a time, in one gateway. */
const concurrency = 2;
const pollS = 1;
/** A gateway that dies is missed after 10 s, and that is looked for every 5 s: its jobs are taken up within 20 s. */
const heartbeatS = 10;
const refreshS = 2;
const superviseS = 5;
/** The work itself counts its attempts; here a job comes again as long as the sidecar is away. */
const retries = 100_000;
const slackS = 600;
const stopMs = 10_000;
/** While the database is away there are several errors a second. */
const tellMs = 10_000;

/** pg-boss, in a PostgreSQL schema of its own beside the tables. */
export async function openQueue(
  database: Database,
  options: { url: string; schema: string; log: Logger },
): Promise<Queue> {
  const { url, schema, log } = options;
  const boss = new PgBoss({
    connectionString: url,
    schema: `${schema}_jobs`,
    application_name: "sigrun",
    max: 2,
    schedule: false,
    superviseIntervalSeconds: superviseS,
    monitorIntervalSeconds: superviseS,
  });
  let told = Number.NEGATIVE_INFINITY;
  boss.on("error", ({ message }) => {
    const isDue = performance.now() - told >= tellMs;
    if (isDue) told = performance.now();
    log[isDue ? "warn" : "debug"](
      { why: message },
      "the job queue has trouble with the database; trying again",
    );
  });
  boss.on("warning", (warning) => log.debug({ warning }, "the job queue warns"));
  await boss.start();
  await boss.createQueue(queueName, {
    heartbeatSeconds: heartbeatS,
    retryLimit: retries,
    retryDelay: 1,
    deleteAfterSeconds: 3_600,
    retentionSeconds: 30 * 86_400,
  });

  return {
    async enqueue(job, longestMs, transaction) {
      const executeSql = async (text: string, values: unknown[] = []) => {
        const rows = await database.sequelize.query(text, {
          transaction,
          type: QueryTypes.SELECT,
          ...(values.length > 0 && { bind: values }),
        });
        return { rows };
      };
      await boss.send(queueName, job, {
        db: { executeSql },
        expireInSeconds: Math.ceil(longestMs / 1000) + slackS,
      });
    },

    async work(handle) {
      const options = {
        batchSize: 1,
        localConcurrency: concurrency,
        pollingIntervalSeconds: pollS,
        heartbeatRefreshSeconds: refreshS,
      };
      await boss.work<Job>(queueName, options, async (jobs) => {
        for (const { data, signal } of jobs) await handle(data, signal);
      });
    },

    stop: () => boss.stop({ graceful: true, timeout: stopMs }),
  };
}
