import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";

/** Address of the PostgreSQL that a gateway started in its data folder. */
export function embeddedUrl(dataDir: string): string {
  const dir = join(dataDir, "postgres");
  const password = readFileSync(join(dir, "password"), "utf8").trim();
  const port = readFileSync(join(dir, "postmaster.pid"), "utf8").split("\n")[3];
  return `postgres://sigrun:${password}@127.0.0.1:${port}/postgres`;
}

/** Runs one statement on a connection of the bench's own. */
export async function query<Row>(url: string, sql: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(sql, values)).rows as Row[];
  } finally {
    await client.end();
  }
}

/** Number of completed executions on record. */
export async function completedExecutions(url: string): Promise<number> {
  const [row] = await query<{ count: string }>(
    url,
    "SELECT count(*) FROM executions WHERE status = 'completed'",
  );
  return Number(row?.count);
}
