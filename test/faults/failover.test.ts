import { randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/gen/grpc/health/v1/health_pb.ts";
import { ExecutionStatus } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { runSql } from "../_database.ts";
import { failure } from "../_errors.ts";
import { type Gateway, prepareScripted, shared, startGateway, startPostgres } from "../_gateway.ts";
import type { ScriptedModel } from "../_model.ts";
import { startProxy } from "../_proxy.ts";
import { until } from "../_wait.ts";

type Behind = { gateway: Gateway; proxy: Awaited<ReturnType<typeof startProxy>> };
type Context = {
  one: Behind;
  other: Behind;
  model: ScriptedModel;
  programId: string;
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
};
const test = anyTest.serial as TestFn<Context>;
const file = shared(anyTest);
const inputs = { question: "?" };

test.before(async (t) => {
  t.timeout(120_000);
  const { env: scripted, model } = await prepareScripted(file);
  // A server of its own, whose settings the tests change.
  const env = { ...scripted, DATABASE_URL: await startPostgres(file) };
  const start = async (): Promise<Behind> => {
    const url = new URL(env.DATABASE_URL);
    const proxy = await startProxy(Number(url.port));
    file.teardown(proxy.close);
    url.port = String(proxy.port);
    const settings = { DATABASE_URL: url.href, SIGRUN_DATABASE_SCHEMA: "failover", SIGRUN_WORKERS: "1" };
    return { proxy, gateway: await startGateway(file, { ...env, ...settings }) };
  };
  const [one, other] = [await start(), await start()];
  const signature = { text: "question -> answer" };
  const { program } = await one.gateway.programs.createProgram({ program: { name: "Capital", signature } });
  const sql = (text: string, values: unknown[] = []) => runSql(env.DATABASE_URL, "failover", text, values);
  t.context = { one, other, model, programId: program?.id ?? "", sql };
});

const isServing = async ({ transport }: Gateway) =>
  (await createClient(Health, transport).check({ service: "" })).status === Status.SERVING;

/** Starts a run that the model answers when `answer` is called. */
async function startRun(
  { context: { one, model, programId } }: ExecutionContext<Context>,
  answered = "Paris",
) {
  let answer = () => {};
  model.script({ fields: { answer: answered }, after: new Promise<void>((resolve) => (answer = resolve)) });
  const before = model.requests.length;
  const result = one.gateway.programs.executeProgram({ programId, inputs });
  result.catch(() => {});
  await until(() => model.requests.length > before);
  const { executions } = await one.gateway.executions.listExecutions({ filter: "status = RUNNING" });
  return { id: executions[0]?.id ?? "", result, answer: () => answer() };
}

/** The record of a run once it has ended. */
const ended = ({ context: { one } }: ExecutionContext<Context>, id: string) =>
  until(async () => {
    const { execution } = await one.gateway.executions
      .getExecution({ id })
      .catch(() => ({ execution: undefined }));
    return execution && execution.status !== ExecutionStatus.RUNNING && execution;
  });

test("while the server only reads, calls are UNAVAILABLE and health says so; then the end of a run is written", async (t) => {
  const { one, sql } = t.context;
  const { id, result, answer } = await startRun(t);
  await sql("ALTER SYSTEM SET default_transaction_read_only = on");
  await sql("SELECT pg_reload_conf()");
  answer();
  t.is((await failure(t, result)).reason, "STORE_UNAVAILABLE");
  await until(async () => !(await isServing(one.gateway)));
  await sql(
    "SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only",
  ).catch(() => sql("ALTER SYSTEM RESET default_transaction_read_only"));
  await sql("SELECT pg_reload_conf()");
  t.is((await ended(t, id)).status, ExecutionStatus.COMPLETED);
  await until(() => isServing(one.gateway));
});

test("a run whose outputs the database refuses ends as failed, on record and for its caller", async (t) => {
  const { sql } = t.context;
  await sql(
    "ALTER TABLE executions ADD CONSTRAINT refusal CHECK (outputs->>'answer' IS DISTINCT FROM 'refused')",
  );
  const { id, result, answer } = await startRun(t, "refused");
  answer();
  t.is((await failure(t, result)).reason, "INTERNAL");
  const { status, errorReason, tokenUsage } = await ended(t, id);
  t.is(status, ExecutionStatus.FAILED);
  t.is(errorReason, "INTERNAL");
  t.is(tokenUsage?.lmCalls, 1n);
});

test("the end of a run is written once the database takes it again, whatever error it gave", async (t) => {
  const { sql } = t.context;
  const { id, result, answer } = await startRun(t);
  await sql("ALTER TABLE executions RENAME TO executions_away");
  answer();
  t.is((await failure(t, result)).reason, "STORE_UNAVAILABLE");
  await sql("ALTER TABLE executions_away RENAME TO executions");
  t.is((await ended(t, id)).status, ExecutionStatus.COMPLETED);
});

test("a run on record as running here, which is not in flight, ends as INTERRUPTED", async (t) => {
  const { one, sql } = t.context;
  const { execution } = await one.gateway.programs.executeProgram({ programId: t.context.programId, inputs });
  const id = randomUUID();
  await sql(
    `INSERT INTO executions (project_id, id, program_id, revision, status, inputs, runner_id, started_at, updated_at)
     SELECT project_id, $1, program_id, revision, 'running', inputs, runner_id, now(), now() FROM executions WHERE id = $2`,
    [id, execution?.id],
  );
  const record = await ended(t, id);
  t.is(record.status, ExecutionStatus.FAILED);
  t.is(record.errorReason, "INTERRUPTED");
});

test("after an outage for all, a gateway that lives keeps its runs, whichever comes back first", async (t) => {
  const { one, other, sql } = t.context;
  const { id, result, answer } = await startRun(t);
  const failures = ({ gateway }: Behind) => gateway.log().split("failed to renew the lease").length;
  const before = [failures(one), failures(other)];
  for (const { proxy } of [one, other]) proxy.cut();
  await until(() => [one, other].every((behind, index) => failures(behind) > (before[index] ?? 0)));
  // As a long outage leaves them.
  await sql("UPDATE leases SET expires_at = now() - interval '1 minute'");
  other.proxy.restore();
  await until(async () => {
    const [found] = await sql("SELECT count(*)::integer AS renewed FROM leases WHERE expires_at > now()");
    return found?.renewed === 1;
  });
  // The other gateway has swept by the time it answers.
  await until(async () => isServing(other.gateway));
  one.proxy.restore();
  answer();
  t.is((await result).execution?.id, id);
  t.is((await ended(t, id)).status, ExecutionStatus.COMPLETED);
});
