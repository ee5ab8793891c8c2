import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SharedWorker } from "ava/plugin";
import pg from "pg";
import { startEmbeddedPostgres } from "../src/store/postgres.ts";
import { createLogger } from "../src/telemetry.ts";

type Server = { createDatabase(): Promise<string>; stop(): Promise<void> };

/** For about ten gateways, each with a pool of its own. */
const maxConnections = 400;

async function startServer(): Promise<Server> {
  const dataDir = mkdtempSync(join(tmpdir(), "sigrun-test-"));
  const start = () => startEmbeddedPostgres({ dataDir, log: createLogger("error") });
  const first = await start();
  const setting = new pg.Client(first.url);
  await setting.connect();
  await setting.query(`ALTER SYSTEM SET max_connections = ${maxConnections}`);
  await setting.end();
  await first.stop();
  const postgres = await start();
  const client = new pg.Client(postgres.url);
  // Without a listener an error of the connection would end the thread, and every test with it.
  client.on("error", () => {});
  await client.connect();
  let count = 0;
  return {
    async createDatabase() {
      const name = `test_${++count}`;
      await client.query(`CREATE DATABASE ${name}`);
      return new URL(name, postgres.url).href;
    },
    async stop() {
      await client.end();
      await postgres.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/**
 * AVA runs this in a thread that all test files share. It starts one PostgreSQL for them, answers
 * each message with the URL of a new database, and stops PostgreSQL with the last of these files.
 */
export default async function share({ negotiateProtocol }: SharedWorker.FactoryOptions): Promise<void> {
  const files = new Set<string>();
  let server: Promise<Server> | undefined;

  async function leave(file: string): Promise<void> {
    files.delete(file);
    if (files.size > 0) return;
    const unused = server;
    server = undefined;
    await (await unused)?.stop();
  }

  async function answer(message: SharedWorker.ReceivedMessage<string>): Promise<void> {
    const { id } = message.testWorker;
    if (!files.has(id)) message.testWorker.teardown(() => leave(id));
    files.add(id);
    server ??= startServer();
    message.reply(await (await server).createDatabase());
  }

  const protocol = negotiateProtocol<string>(["ava-4"]).ready();
  for await (const message of protocol.subscribe()) answer(message);
}
