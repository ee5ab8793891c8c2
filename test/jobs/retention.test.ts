import test from "ava";
import pg from "pg";
import { v7 as uuidv7 } from "uuid";
import { runSql } from "../_database.ts";
import { startGateway, startScripted } from "../_gateway.ts";
import { until } from "../_wait.ts";

const schema = "aged";

test("deletes only executions that have ended and are older than the retention time, skipping locked rows", async (t) => {
  const { gateway, env } = await startScripted(t, { SIGRUN_DATABASE_SCHEMA: schema });
  const url = env.DATABASE_URL;
  const { program } = await gateway.programs.createProgram({
    program: { name: "Aged", signature: { text: "question -> answer" } },
  });
  const programId = program?.id ?? "";
  const { execution: fresh } = await gateway.executions.startExecution({
    programId,
    inputs: { question: "?" },
  });
  await gateway.executions.failExecution({ id: fresh?.id ?? "", errorMessage: "x" });

  const hour = 3_600_000;
  const old = Array.from({ length: 1_203 }, (_, index) =>
    uuidv7({ msecs: Date.now() - 2 * hour, seq: index }),
  );
  const [held = "", running = ""] = old;
  await runSql(
    url,
    schema,
    `INSERT INTO executions (project_id, id, program_id, revision, status, inputs, error_reason, started_at, completed_at, updated_at)
     SELECT $1, id, $2, 1, CASE WHEN id = $4 THEN 'running' ELSE 'failed' END, '{}', CASE WHEN id = $4 THEN '' ELSE 'LM_ERROR' END, now(),
       CASE WHEN id = $4 THEN NULL ELSE now() END, now()
     FROM unnest($3::uuid[]) AS id`,
    ["00000000-0000-0000-0000-000000000000", programId, old, running],
  );
  const holder = new pg.Client(url);
  await holder.connect();
  t.teardown(() => holder.end());
  await holder.query(`SET search_path TO ${schema}; BEGIN`);
  await holder.query("UPDATE executions SET labels = '{}' WHERE id = $1", [held]);

  const left = async () =>
    (await runSql(url, schema, "SELECT id FROM executions ORDER BY id")).map(({ id }) => id);
  await startGateway(t, { ...env, SIGRUN_DATABASE_SCHEMA: schema, SIGRUN_RETENTION: "1h" });
  await until(async () => (await left()).length === 3);
  t.deepEqual(await left(), [held, running, fresh?.id].sort());

  await holder.query("COMMIT");
  await startGateway(t, { ...env, SIGRUN_DATABASE_SCHEMA: schema, SIGRUN_RETENTION: "1h" });
  await until(async () => (await left()).length === 2);
  t.deepEqual(await left(), [running, fresh?.id].sort());
});
