import { randomUUID } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import fc from "fast-check";
import {
  CreateProgramRequestSchema,
  CreateProgramResponseSchema,
} from "../../src/gen/sigrun/v1/program_service_pb.ts";
import { failure } from "../_errors.ts";
import { type Gateway, shared, startScripted } from "../_gateway.ts";

const test = anyTest as TestFn<{ gateway: Gateway; programId: string }>;
const file = shared(anyTest);
test.before(async (t) => {
  const { gateway, model } = await startScripted(file, { SIGRUN_WORKERS: "1" });
  model.script({ fields: { answer: "here" } });
  const { program } = await gateway.programs.createProgram({
    program: { name: "Wired", signature: { text: "question -> answer" } },
  });
  t.context = { gateway, programId: program?.id ?? "" };
});

/** The bytes of a map's entry, which protobuf-es would write in the order of the object. */
function program(requestId: string, order: readonly string[]): Uint8Array {
  const inputFrom = Object.fromEntries(order.map((name) => [name, "question"]));
  return toBinary(
    CreateProgramRequestSchema,
    create(CreateProgramRequestSchema, {
      requestId,
      program: {
        name: "Mapped",
        signature: { text: "question -> answer" },
        modules: [{ type: "Predict", signature: { text: "a, b, c -> answer" }, inputFrom }],
      },
    }),
  );
}

test("a repeated request may send its maps in any order", async (t) => {
  const requestId = randomUUID();
  const ids = new Set<string>();
  for (const order of [
    ["c", "a", "b"],
    ["a", "b", "c"],
    ["b", "c", "a"],
  ]) {
    const response = await fetch(`${t.context.gateway.url}/sigrun.v1.ProgramService/CreateProgram`, {
      method: "POST",
      headers: { "content-type": "application/proto" },
      body: Buffer.from(program(requestId, order)),
    });
    t.is(response.status, 200);
    const bytes = new Uint8Array(await response.arrayBuffer());
    ids.add(fromBinary(CreateProgramResponseSchema, bytes).program?.id ?? "");
  }
  t.is(ids.size, 1);
});

test("labels in headers are UTF-8, plain or as gRPC sends bytes, and refused otherwise", async (t) => {
  const { gateway, programId } = t.context;
  const { url } = gateway;
  async function run(headers: Record<string, string>) {
    const response = await fetch(`${url}/sigrun.v1.ProgramService/ExecuteProgram`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ programId, inputs: { question: "?" } }),
    });
    return (await response.json()) as { execution?: { labels: object }; code?: string; message?: string };
  }
  const latin1 = Buffer.from("Köln 😀").toString("latin1");
  const labels = {
    "sigrun-label-city": latin1,
    "sigrun-label-town-bin": Buffer.from("Łódź").toString("base64"),
  };
  t.deepEqual((await run(labels)).execution?.labels, { city: "Köln 😀", town: "Łódź" });
  const refused = await run({ "sigrun-label-city": "K\u00f6ln" });
  t.is(refused.code, "invalid_argument");
  t.regex(refused.message ?? "", /^header sigrun-label-city: must be UTF-8/);
});

test("a read_mask gives the fields that it names, in GetExecution and in lists", async (t) => {
  const { programs, executions } = t.context.gateway;
  const { programId } = t.context;
  const { execution } = await programs.executeProgram({ programId, inputs: { question: "?" } });
  const id = execution?.id ?? "";
  const get = async (...paths: string[]) => {
    const { execution } = await executions.getExecution({ id, readMask: { paths } });
    return { ...execution };
  };
  t.like(await get("id", "outputs"), { id, outputs: { answer: "here" } });
  t.is((await get("id", "outputs")).inputs, undefined);
  t.deepEqual((await get("outputs.answer")).outputs, { answer: "here" });
  t.deepEqual((await get("outputs.other")).outputs, {});
  t.is(((await get("token_usage.lm_calls")).tokenUsage as { lmCalls: bigint }).lmCalls, 1n);
  t.like(await get("*"), {
    id,
    inputs: { question: "?" },
    outputs: { answer: "here" },
    model: "openai/scripted",
  });
  const list = await executions.listExecutions({ filter: `id = "${id}"`, readMask: { paths: ["inputs"] } });
  t.deepEqual(list.executions[0]?.inputs, { question: "?" });
  t.is(list.executions[0]?.id, "");
  for (const path of ["nothing", "steps.module", "token_usage.nothing", ""])
    t.like(await failure(t, executions.getExecution({ id, readMask: { paths: ["id", path] } })), {
      code: Code.InvalidArgument,
      paths: ["read_mask.paths[1]"],
    });
});

test("methods that change a record answer its basic view", async (t) => {
  const { executions } = t.context.gateway;
  const { programId } = t.context;
  const inputs = { question: "?" };
  const created = await executions.createExecution({ programId, inputs });
  const id = created.execution?.id ?? "";
  const started = await executions.startExecution({ id });
  const updated = await executions.updateExecution({ execution: { id, labels: { team: "ads" } } });
  const completed = await executions.completeExecution({ id, outputs: { answer: "x" } });
  for (const { execution } of [created, started, updated, completed]) {
    t.is(execution?.inputs, undefined);
    t.is(execution?.outputs, undefined);
    t.is(execution?.id, id);
  }
  t.deepEqual((await executions.getExecution({ id })).execution?.outputs, { answer: "x" });
});

test("any page token, of any bytes or of another list, is answered or refused in words", async (t) => {
  const { executions, programs } = t.context.gateway;
  const { nextPageToken } = await executions.listExecutions({ pageSize: 1, orderBy: "created_at" });
  const bytes = fc.uint8Array({ maxLength: 64 }).map((some) => Buffer.from(some).toString("base64url"));
  const cut = fc.nat(nextPageToken.length).map((length) => nextPageToken.slice(0, length));
  const json = fc.json().map((text) => Buffer.from(text).toString("base64url"));
  await fc.assert(
    fc.asyncProperty(fc.oneof(bytes, cut, json, fc.string()), async (pageToken) => {
      for (const list of [executions.listExecutions({ pageToken }), programs.listPrograms({ pageToken })])
        await list.catch((error: { code: Code }) => {
          if (error.code !== Code.InvalidArgument) throw error;
        });
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test("durations and counts that no budget can have are refused with their path", async (t) => {
  const { programs } = t.context.gateway;
  const { programId } = t.context;
  const dataset = [{ inputs: { question: "a" }, outputs: { answer: "a" } }];
  const [least, most] = [-(2n ** 63n), 2n ** 63n - 1n];
  const ask = (budget: object) =>
    failure(t, programs.optimizeProgram({ programId, dataset, valset: dataset, budget }));
  for (const [seconds, nanos] of [
    [least, 0],
    [most, 0],
    [most, 999_999_999],
    [0n, -1],
    [1n, -1],
    [-1n, 1],
    [1n, 2_000_000_000],
    [0n, -(2 ** 31)],
  ] as const)
    t.like(await ask({ time: { seconds, nanos } }), { code: Code.InvalidArgument, paths: ["budget.time"] });
  for (const count of [least, most, -1n]) {
    t.like(await ask({ lmCalls: count }), { code: Code.InvalidArgument, paths: ["budget.lm_calls"] });
    t.like(await ask({ tokens: count }), { code: Code.InvalidArgument, paths: ["budget.tokens"] });
  }
  const { executions } = t.context.gateway;
  const { execution } = await executions.startExecution({ programId, inputs: { question: "?" } });
  const id = execution?.id ?? "";
  for (const durationMs of [least, most, -1n])
    t.like(await failure(t, executions.completeExecution({ id, outputs: { answer: "x" }, durationMs })), {
      code: Code.InvalidArgument,
      paths: ["duration_ms"],
    });
});
