import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import anyTest from "ava";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflectionRequestSchema,
  ServerReflection as V1,
} from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { lockTables, runSql } from "../_database.ts";
import { failure } from "../_errors.ts";
import { startScripted } from "../_gateway.ts";
import { until } from "../_wait.ts";

// One after the other, since the time of each drain is measured.
const test = anyTest.serial;
const inputs = { question: "?" };

/** Opens a gRPC stream and gives its status once it ends. */
function openStream(session: ClientHttp2Session, path: string, message?: Uint8Array): Promise<string> {
  const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
  const stream = session.request(headers);
  stream.on("error", () => {}).resume();
  if (message) stream.write(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
  return once(stream, "trailers").then(([trailers]) => String(trailers["grpc-status"]));
}

test("SIGTERM ends the gateway within SIGRUN_DRAIN, whatever is open, and records the runs", async (t) => {
  const schema = "drained";
  const { gateway, model, env } = await startScripted(t, {
    SIGRUN_DRAIN: "4s",
    SIGRUN_DATABASE_SCHEMA: schema,
  });
  const { program } = await gateway.programs.createProgram({
    program: { name: "Capital", signature: { text: "question -> answer" } },
  });
  const programId = program?.id ?? "";
  model.script({ hang: true });
  const session = connect(gateway.url).on("error", () => {});
  t.teardown(() => session.destroy());
  const ask = create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } });
  const reflection = openStream(
    session,
    `/${V1.typeName}/ServerReflectionInfo`,
    toBinary(ServerReflectionRequestSchema, ask),
  );
  const stuck = openStream(session, "/sigrun.v1.ProgramService/ListPrograms");
  const silent = connectTcp({
    port: Number(new URL(gateway.url).port),
    host: "127.0.0.1",
    allowHalfOpen: true,
  });
  t.teardown(() => silent.destroy());
  silent.on("error", () => {}).write("POST /sigrun.v1.ProgramService/ListPrograms HTTP/1.1\r\nhost: a\r\n");

  const statuses: number[] = [];
  const health = (async () => {
    for await (const { status } of createClient(Health, gateway.transport).watch({})) statuses.push(status);
  })();
  const watch = (async () => {
    for await (const _ of gateway.executions.watchExecutions({}));
  })();
  const ended = Promise.all([health, watch].map((call) => failure(t, call)));
  const run = failure(t, gateway.programs.executeProgram({ programId, inputs }));
  await until(() => model.requests.length === 1 && statuses.length === 1);

  const began = performance.now();
  gateway.process.kill("SIGTERM");
  for (const { code } of await ended) t.is(code, Code.Unavailable);
  t.is(await reflection, String(Code.Unavailable));
  t.true(performance.now() - began < 1_500, "clients of watches go elsewhere at once");
  t.deepEqual(statuses, [1, 2]);
  const failed = await run;
  t.is(failed.code, Code.Unavailable);
  t.is(failed.reason, "INTERRUPTED");
  t.is(await stuck, String(Code.Unavailable));
  await until(() => gateway.process.exitCode !== null);
  const drainMs = performance.now() - began;
  t.log(`ended after ${Math.round(drainMs)} ms`);
  t.is(gateway.process.exitCode, 0);
  t.true(drainMs > 2_000, "the run has its time");
  t.true(drainMs < 4_500);

  const rows = await runSql(
    env.DATABASE_URL,
    schema,
    "SELECT status, error_reason, lm_calls::int FROM executions",
  );
  // The request to the model that was under way counts.
  t.deepEqual(rows, [{ status: "failed", error_reason: "INTERRUPTED", lm_calls: 1 }]);
});

test("SIGTERM ends the gateway within SIGRUN_DRAIN if the database is silent", async (t) => {
  const schema = "silent_drain";
  const { gateway, model, env } = await startScripted(t, {
    SIGRUN_DRAIN: "3s",
    SIGRUN_DATABASE_SCHEMA: schema,
  });
  const { program } = await gateway.programs.createProgram({
    program: { name: "Capital", signature: { text: "question -> answer" } },
  });
  model.script({ hang: true });
  const call = gateway.programs.executeProgram({ programId: program?.id ?? "", inputs }).catch(() => {});
  await until(() => model.requests.length === 1);
  const unlock = await lockTables(env.DATABASE_URL, schema);
  const began = performance.now();
  gateway.process.kill("SIGTERM");
  await until(() => gateway.process.exitCode !== null);
  const drainMs = performance.now() - began;
  t.log(`ended after ${Math.round(drainMs)} ms`);
  t.true(drainMs < 4_000);
  t.true(gateway.log().includes("records did not stop in time"));
  await call;
  await unlock();
});

test("a run that ends within the drain is answered", async (t) => {
  const { gateway, model } = await startScripted(t, { SIGRUN_DRAIN: "20s" });
  const { program } = await gateway.programs.createProgram({
    program: { name: "Capital", signature: { text: "question -> answer" } },
  });
  let answer = () => {};
  model.script({ fields: { answer: "Paris" }, after: new Promise<void>((resolve) => (answer = resolve)) });
  const run = gateway.programs.executeProgram({ programId: program?.id ?? "", inputs });
  await until(() => model.requests.length === 1);
  gateway.process.kill("SIGTERM");
  await until(async () => {
    const socket = connectTcp(Number(new URL(gateway.url).port), "127.0.0.1");
    return once(socket, "connect").then(
      () => void socket.destroy(),
      () => true,
    );
  });
  answer();
  t.deepEqual((await run).outputs, { answer: "Paris" });
  await until(() => gateway.process.exitCode !== null);
  t.is(gateway.process.exitCode, 0);
});
