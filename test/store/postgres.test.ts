import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import pg from "pg";
import { pino } from "pino";
import { startEmbeddedPostgres } from "../../src/store/postgres.ts";

test("the embedded PostgreSQL logs neither its start nor errors that it returns to connections", async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "sigrun-test-"));
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line) => lines.push(line) });
  const postgres = await startEmbeddedPostgres({ dataDir, log });
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await t.throwsAsync(client.query("SELECT 1 / 0"), { message: "division by zero" });
  await client.end();
  // stop() resolves after all of PostgreSQL's log was read.
  await postgres.stop();
  t.deepEqual(lines, []);
});
