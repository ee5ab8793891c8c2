import { readdirSync, readFileSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { create, type DescMethod, toBinary } from "@bufbuild/protobuf";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { services } from "../../src/rpc/router.ts";
import { lockTables } from "../_database.ts";
import { type Gateway, shared, startScripted } from "../_gateway.ts";
import type { ScriptedModel } from "../_model.ts";
import { doors, type Ended, envelope, maxMsOf } from "../_raw-call.ts";
import { until } from "../_wait.ts";

type Shared = {
  gateway: Gateway;
  model: ScriptedModel;
  session: ClientHttp2Session;
  programId: string;
  databaseUrl: string;
};

// One after the other, since each silences a part of the one gateway.
const test = anyTest.serial as TestFn<Shared>;
const onLinux = process.platform === "linux" ? test : test.skip;
const file = shared(anyTest);
const methods = [...services, Health].flatMap((service) => service.methods);
const deadlineExceeded = 4;
const timeoutMs = 1_000;
const schema = "silent_parts";

test.before(async (t) => {
  const { gateway, model, env } = await startScripted(file, { SIGRUN_DATABASE_SCHEMA: schema });
  const session = connect(gateway.url).on("error", () => {});
  file.teardown(() => session.destroy());
  const { program } = await gateway.programs.createProgram({
    program: { name: "Capital", signature: { text: "question -> answer" } },
  });
  const programId = program?.id ?? "";
  await gateway.programs.executeProgram({ programId, inputs: { question: "?" } });
  t.context = { gateway, model, session, programId, databaseUrl: env.DATABASE_URL };
});

/** A request that passes the checks of most methods: each takes the fields that it has. */
function requestOf({ input }: DescMethod, id: string): Uint8Array {
  const inputs = { question: "?" };
  const example = { inputs, outputs: { answer: "!" } };
  const signature = { name: "Silent", text: "question -> answer" };
  const fields: Record<string, unknown> = {
    id,
    programId: id,
    inputs,
    outputs: { answer: "!" },
    values: inputs,
    items: [{ inputs }],
    dataset: [example, example, example, example],
    optimizer: "LabeledFewShot",
    compiledState: '{"self": {"demos": []}}',
    revision: 1,
    errorMessage: "failed",
    signature,
    program: { id, name: "Silent", signature },
    execution: { id },
    key: { case: "id", value: id },
  };
  const names = new Set([
    ...input.fields.filter(({ oneof }) => !oneof).map(({ localName }) => localName),
    ...input.oneofs.map(({ localName }) => localName),
  ]);
  const init = Object.fromEntries(Object.entries(fields).filter(([name]) => names.has(name)));
  return toBinary(input, create(input, init));
}

type Call = Ended & { call: string };

/** Calls every method by gRPC, and by Connect's own server. */
function callAll({ gateway, session, programId }: Shared, timeoutMs: number): Promise<Call[]> {
  return Promise.all(
    doors.slice(0, 2).flatMap((door) =>
      methods.map(async (method) => {
        const path = `/${method.parent.typeName}/${method.name}`;
        const body = { bytes: envelope(requestOf(method, programId)), isWhole: true };
        const isStream = method.methodKind !== "unary";
        const target = { url: gateway.url, session };
        return {
          call: `${door.name} ${path}`,
          ...(await door.call(target, path, isStream, body, timeoutMs)),
        };
      }),
    ),
  );
}

/** The calls that end too late, or before the deadline that they are said to have exceeded. */
async function wrongOf(t: ExecutionContext<Shared>, calls: readonly Call[]): Promise<Call[]> {
  const maxMs = maxMsOf(timeoutMs, await callAll(t.context, 1));
  return calls.filter(({ code, ms }) => ms > maxMs || (code === deadlineExceeded && ms < timeoutMs - 50));
}

const waited = (calls: Call[]) =>
  calls.filter(({ code }) => code === deadlineExceeded).map(({ call }) => call.split("/").at(-1) as string);

test("a call of any method ends at its deadline if a lock holds all tables", async (t) => {
  const unlock = await lockTables(t.context.databaseUrl, schema);
  const calls = await callAll(t.context, timeoutMs);
  await unlock();
  t.deepEqual(await wrongOf(t, calls), []);
  const silent = waited(calls);
  for (const name of ["ListPrograms", "GetExecution", "ExecuteProgram", "WatchExecutions", "CreateProgram"])
    t.is(silent.filter((other) => other === name).length, 2, name);
  t.true(silent.length >= 2 * 35);
});

/** The process and all that descend from it. */
function descendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(descendants)];
}

onLinux("a call of any method ends at its deadline if the sidecar hangs", async (t) => {
  const { gateway, programId } = t.context;
  await until(() => gateway.programs.getProgram({ id: programId }).catch(() => undefined));
  const gatewayId = gateway.process.pid ?? 0;
  const sidecar = descendants(gatewayId).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("dspy_sidecar"),
  );
  t.true(sidecar.length > 1);
  for (const pid of sidecar) process.kill(pid, "SIGSTOP");
  const calls = await callAll(t.context, timeoutMs);
  for (const pid of sidecar) process.kill(pid, "SIGCONT");
  t.deepEqual(await wrongOf(t, calls), []);
  for (const name of [
    "ExecuteProgram",
    "StreamProgram",
    "BatchExecuteProgram",
    "EvaluateProgram",
    "ListTools",
  ])
    t.is(waited(calls).filter((other) => other === name).length, 2, name);
});

test("a call of any method ends at its deadline if the model is silent, and its record says so", async (t) => {
  const { gateway, model, programId } = t.context;
  await until(() => gateway.programs.compileProgram({ programId }).catch(() => undefined));
  model.script({ hang: true });
  const calls = await callAll(t.context, timeoutMs);
  t.deepEqual(await wrongOf(t, calls), []);
  for (const name of ["ExecuteProgram", "StreamProgram", "BatchExecuteProgram", "EvaluateProgram"])
    t.is(waited(calls).filter((other) => other === name).length, 2, name);
  const filter = 'status = RUNNING OR error_reason = "DEADLINE_EXCEEDED"';
  const { executions } = await until(async () => {
    const found = await gateway.executions.listExecutions({ filter });
    return found.executions.every(({ errorReason }) => errorReason === "DEADLINE_EXCEEDED") && found;
  });
  // An execution, a stream and a batch of each server.
  t.true(executions.length >= 6);
});
