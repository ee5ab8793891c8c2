import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:http2";
import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { ExecutionStatus } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import type { StreamProgramResponse } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";
import { until } from "../../_wait.ts";

const test = anyTest.serial as TestFn<{ gateway: Gateway; model: ScriptedModel; programId: string }>;
const file = shared(anyTest);
const inputs = { question: "Where?" };
const answer = "Paris, on the Seine.\n\nA city of light.";

/** More than the buffers of all sockets on the way: Linux lets one grow to 32 MiB. */
const piece = 10_000;
const long = "x".repeat(6_000 * piece);

test.before(async (t) => {
  const { gateway, model } = await startScripted(file);
  const program = {
    name: "Streamed",
    signature: { text: "question -> answer, confidence: float" },
    modules: [{ type: "ChainOfThought" }],
  };
  const created = await gateway.programs.createProgram({ program });
  t.context = { gateway, model, programId: created.program?.id ?? "" };
});
test.beforeEach(({ context }) =>
  context.model.script({ fields: { reasoning: "I know it.", answer, confidence: 0.9 } }),
);

async function collect(
  stream: AsyncIterable<StreamProgramResponse>,
): Promise<StreamProgramResponse["event"][]> {
  const events: StreamProgramResponse["event"][] = [];
  for await (const { event } of stream) events.push(event);
  return events;
}

/** The text of the chunks since the last reset. */
function textOf(events: StreamProgramResponse["event"][]): Record<string, string> {
  const since = events.slice(events.findLastIndex((event) => event.case === "reset") + 1);
  const fields: Record<string, string> = {};
  for (const event of since)
    if (event.case === "chunk")
      fields[event.value.field] = (fields[event.value.field] ?? "") + event.value.text;
  return fields;
}

test("a stream gives started, the text fields while the model writes them, and then the checked and recorded result", async (t) => {
  const { gateway, programId } = t.context;
  let header: string | null = null;
  const events = await collect(
    gateway.programs.streamProgram(
      { programId, inputs },
      { onHeader: (headers) => (header = headers.get("sigrun-execution-id")) },
    ),
  );
  const [started] = events;
  t.like(started, { case: "started", value: { id: header, status: ExecutionStatus.RUNNING } });
  t.true(events.filter((event) => event.case === "chunk").length > 5);
  t.deepEqual(textOf(events), { reasoning: "I know it.", answer });
  const done = events.at(-1);
  t.like(done, { case: "done", value: { outputs: { answer, confidence: 0.9 } } });
  const { execution } = await gateway.executions.getExecution({ id: header ?? "" });
  t.like(execution, { status: ExecutionStatus.COMPLETED, outputs: { answer, confidence: 0.9 } });
  t.is(execution?.tokenUsage?.outputTokens, 12n);
});

test("a repeated request_id gets started and done without a call to the model", async (t) => {
  const { gateway, model, programId } = t.context;
  const request = { programId, inputs, requestId: randomUUID() };
  const first = await collect(gateway.programs.streamProgram(request));
  const requestsBefore = model.requests.length;
  const again = await collect(gateway.programs.streamProgram(request));
  t.deepEqual(
    again.map((event) => event.case),
    ["started", "done"],
  );
  t.deepEqual(again.at(-1), first.at(-1));
  t.is(model.requests.length, requestsBefore);
});

test("an answer from the cache has the same events", async (t) => {
  const { gateway, model, programId } = t.context;
  const request = { programId, inputs: { question: "Cached?" }, lm: { cache: true } };
  const first = await collect(gateway.programs.streamProgram(request));
  const requestsBefore = model.requests.length;
  const second = await collect(gateway.programs.streamProgram(request));
  t.is(model.requests.length, requestsBefore);
  t.deepEqual(textOf(second), textOf(first));
  t.deepEqual([second[0]?.case, second.at(-1)?.case], ["started", "done"]);
});

test("a second request to the model sends reset", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script(
    { text: "[[ ## reasoning ## ]]\nHm.\n\n[[ ## anser ## ]]\nx" },
    { text: JSON.stringify({ reasoning: "I know.", answer, confidence: 1 }) },
  );
  const events = await collect(gateway.programs.streamProgram({ programId, inputs }));
  t.true(events.some((event) => event.case === "reset"));
  t.deepEqual(textOf(events), { reasoning: "I know.", answer });
});

test("a failed run ends the stream with its reason and the id of its execution", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script({ text: "no" });
  let id = "";
  const failed = await failure(
    t,
    collect(
      gateway.programs.streamProgram(
        { programId, inputs },
        { onHeader: (headers) => (id = headers.get("sigrun-execution-id") ?? "") },
      ),
    ),
  );
  t.like(failed, { code: Code.Internal, reason: "OUTPUT_INVALID", metadata: { execution_id: id } });
  t.like(await failure(t, collect(gateway.programs.streamProgram({ programId, inputs: {} }))), {
    code: Code.InvalidArgument,
    paths: ["inputs.question"],
  });
});

test("a reader that leaves cancels the run, which is recorded", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script({ fields: { reasoning: long, answer, confidence: 1 }, piece });
  const aborted = model.aborted();
  let id = "";
  const leave = new AbortController();
  await t.throwsAsync(async () => {
    for await (const { event } of gateway.programs.streamProgram(
      { programId, inputs },
      { signal: leave.signal },
    )) {
      if (event.case === "started") id = event.value.id;
      if (event.case === "chunk") leave.abort();
    }
  });
  await until(() => model.aborted() > aborted);
  const ended = await until(async () => {
    const { execution } = await gateway.executions.getExecution({ id });
    return execution?.completedAt && execution;
  });
  t.like(ended, { status: ExecutionStatus.CANCELLED, errorReason: "CANCELLED" });
});

test("a slow reader pauses the model's stream", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script(
    { fields: { reasoning: long, answer, confidence: 1 }, piece },
    { fields: { reasoning: "x", answer, confidence: 1 } },
  );
  const before = model.sent();
  // Connect's client reads ahead; this client reads nothing.
  const session = connect(gateway.url);
  const call = session.request({
    ":method": "POST",
    ":path": "/sigrun.v1.ProgramService/StreamProgram",
    ...streaming,
  });
  call.end(enveloped({ programId, inputs }));
  await once(call, "response");
  // The call takes the first script, so no other script may be queued before it.
  await until(() => model.sent() > before);
  // Other runs serve as the clock: after a few of them all buffers are full, and nothing is sent.
  const someRuns = async () => {
    for (let n = 0; n < 15; n++) await gateway.programs.executeProgram({ programId, inputs });
    return model.sent() - before;
  };
  let sent = await someRuns();
  for (let now = await someRuns(); now > sent; now = await someRuns()) sent = now;
  t.log(`${sent} of ${long.length / piece} pieces were sent`);
  t.true(sent < (long.length / piece) * 0.8);
  session.destroy();
});

const streaming = {
  "content-type": "application/connect+json",
  "connect-protocol-version": "1",
  "connect-timeout-ms": "60000",
};

/** A stream message of Connect's protocol: a flag, the length, the JSON. */
function enveloped(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

test("a second stream with the same request_id gets the end of the run, even if the first reader leaves", async (t) => {
  const { gateway, model, programId } = t.context;
  let release = () => {};
  const after = new Promise<void>((resolve) => {
    release = resolve;
  });
  model.script({ fields: { reasoning: "I know it.", answer, confidence: 0.9 }, after });
  const request = { programId, inputs, requestId: randomUUID() };
  const leave = new AbortController();
  const first = gateway.programs.streamProgram(request, { signal: leave.signal })[Symbol.asyncIterator]();
  await first.next();
  const second = gateway.programs.streamProgram(request)[Symbol.asyncIterator]();
  t.is((await second.next()).value.event.case, "started");
  leave.abort();
  await t.throwsAsync(async () => first.next());
  release();
  t.like((await second.next()).value.event, { case: "done", value: { outputs: { answer } } });
});
