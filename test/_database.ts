import pg from "pg";

/** Runs SQL beside the gateway, as an operator would. */
export async function runSql(url: string, schema: string, sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(`SET search_path TO ${schema}`);
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}
