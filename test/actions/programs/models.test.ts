import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { Code } from "@connectrpc/connect";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { ExecutionStatus } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startGateway, startScripted } from "../../_gateway.ts";
import type { Reply, ScriptedModel } from "../../_model.ts";

type Context = { gateway: Gateway; model: ScriptedModel; env: Record<string, string>; programId: string };
const test = anyTest.serial as TestFn<Context>;
const file = shared(anyTest);
const inputs = { question: "A question that nobody else asks?" };
const here = { fields: { answer: "here" } };

test.before(async (t) => {
  const scripted = await startScripted(file, { SIGRUN_LM_ALLOWED: "openai/second" });
  const { program } = await scripted.gateway.programs.createProgram({
    program: { name: "Modelled", signature: { text: "question -> answer" } },
  });
  t.context = { ...scripted, programId: program?.id ?? "" };
});
test.beforeEach(({ context }) => context.model.script(here));
type T = ExecutionContext<Context>;

async function sent({ context }: T, lm: object, programId = context.programId) {
  await context.gateway.programs.executeProgram({ programId, inputs, lm });
  return context.model.requests.at(-1) ?? { messages: [] };
}

const faults: [what: string, reply: Reply, code: Code, reason: string][] = [
  [
    "limits the rate",
    { status: 429, error: { message: "slow down" }, headers: { "retry-after": "1" } },
    Code.ResourceExhausted,
    "LM_RATE_LIMITED",
  ],
  [
    "refuses the key",
    { status: 401, error: { message: "bad key sk-secret" } },
    Code.FailedPrecondition,
    "LM_AUTH_FAILED",
  ],
  [
    "has a smaller context window",
    { status: 400, error: { message: "maximum context length is 10", code: "context_length_exceeded" } },
    Code.InvalidArgument,
    "CONTEXT_WINDOW_EXCEEDED",
  ],
  [
    "refuses the request",
    { status: 400, error: { message: "no", code: "content_filter" } },
    Code.FailedPrecondition,
    "LM_REFUSED",
  ],
  [
    "has no such model",
    { status: 404, error: { message: "no such model", code: "model_not_found" } },
    Code.FailedPrecondition,
    "LM_NOT_CONFIGURED",
  ],
  ["fails", { status: 500, error: { message: "boom" } }, Code.Unavailable, "LM_UNAVAILABLE"],
  ["writes what can't be read", { text: "Well..." }, Code.Internal, "OUTPUT_INVALID"],
];
for (const [what, reply, code, reason] of faults)
  test(`a provider that ${what} is ${reason}, in the answer and on record`, async (t) => {
    const { gateway, model, programId } = t.context;
    model.script(reply);
    const failed = await failure(t, gateway.programs.executeProgram({ programId, inputs }));
    t.like(failed, { code, reason, domain: "sigrun" });
    if (reason === "LM_RATE_LIMITED") t.is(failed.retrySeconds, 1);
    t.notRegex(failed.message, /sk-secret|nobody else/);
    const { execution } = await gateway.executions.getExecution({ id: failed.metadata.execution_id ?? "" });
    t.like(execution, { status: ExecutionStatus.FAILED, errorReason: reason, errorMessage: failed.message });
  });

test("a provider that can't be reached is LM_UNAVAILABLE", async (t) => {
  const free = createServer();
  await new Promise<void>((listening) => free.listen(0, "127.0.0.1", listening));
  const { port } = free.address() as { port: number };
  await new Promise((closed) => free.close(closed));
  const { programs } = await startGateway(t, {
    ...t.context.env,
    SIGRUN_LM_API_BASE: `http://127.0.0.1:${port}/v1`,
  });
  const { program } = await programs.createProgram({
    program: { name: "Far", signature: { text: "question -> answer" } },
  });
  t.like(await failure(t, programs.executeProgram({ programId: program?.id ?? "", inputs })), {
    code: Code.Unavailable,
    reason: "LM_UNAVAILABLE",
  });
});

test("refuses models that the operator does not allow, in the program, a module or the call", async (t) => {
  const { programs } = t.context.gateway;
  t.is((await sent(t, { model: "openai/second" })).model, "second");
  const signature = { text: "question -> answer" };
  const other = { model: "openai/third" };
  const refused = (call: Promise<unknown>) => failure(t, call);
  t.deepEqual(
    (await refused(programs.executeProgram({ programId: t.context.programId, inputs, lm: other }))).paths,
    ["lm.model"],
  );
  t.deepEqual(
    (await refused(programs.createProgram({ program: { name: "x", signature, lm: other } }))).paths,
    ["program.lm.model"],
  );
  t.deepEqual(
    (
      await refused(
        programs.createProgram({
          program: { name: "x", signature, modules: [{ type: "Predict", lm: other }] },
        }),
      )
    ).paths,
    ["program.modules[0].lm.model"],
  );
});

test("settings of the call override those of the module, which override those of the program", async (t) => {
  const { program } = await t.context.gateway.programs.createProgram({
    program: {
      name: "Layered",
      signature: { text: "question -> answer" },
      lm: { temperature: 0.1, maxTokens: 100, params: { top_p: 0.5, stop: ["END"] } },
      modules: [{ type: "Predict", lm: { temperature: 0.2, params: { top_p: 0.6 } } }],
    },
  });
  const request = await sent(t, { temperature: 0.3, params: { seed: 7 } }, program?.id);
  t.like(request, { model: "scripted", temperature: 0.3, top_p: 0.6, seed: 7 });
  t.deepEqual(request.stop, ["END"]);
  t.true([request.max_tokens, request.max_completion_tokens].includes(100));
});

test("refuses the address and the API key of a provider as settings", async (t) => {
  const params = {
    api_base: "http://127.0.0.1:9",
    api_key: "k",
    headers: {},
    extra_body: {},
    n: 5,
    model: "openai/third",
  };
  const refused = await failure(
    t,
    t.context.gateway.programs.executeProgram({ programId: t.context.programId, inputs, lm: { params } }),
  );
  t.deepEqual(
    refused.paths,
    Object.keys(params)
      .map((name) => `lm.params.${name}`)
      .sort(),
  );
});

test("each adapter writes its own prompt and parses its own answer", async (t) => {
  const { model } = t.context;
  t.regex(JSON.stringify(await sent(t, { adapter: "ChatAdapter" })), /\[\[ ## answer ## \]\]/);
  model.script({ text: '{"answer": "here"}' });
  t.regex(JSON.stringify((await sent(t, { adapter: "JSONAdapter" })).messages), /JSON object/);
  model.script({ text: "<answer>here</answer>" });
  t.regex(JSON.stringify(await sent(t, { adapter: "XMLAdapter" })), /<answer>/);
});

test("answers are not cached by default", async (t) => {
  const { model } = t.context;
  const count = async (lm: object) => {
    const before = model.requests.length;
    for (let n = 0; n < 3; n++) await sent(t, lm);
    return model.requests.length - before;
  };
  t.is(await count({}), 3);
  t.is(await count({ cache: false }), 3);
  t.is(await count({ cache: true }), 1);
});

test("a cached answer costs no tokens, and its record shows it", async (t) => {
  const { programs } = t.context.gateway;
  const request = { programId: t.context.programId, inputs: { question: "Twice?" }, lm: { cache: true } };
  t.is((await programs.executeProgram(request)).execution?.tokenUsage?.outputTokens, 12n);
  t.is((await programs.executeProgram(request)).execution?.tokenUsage?.outputTokens, 0n);
});

test("the memory of the sidecar does not grow with use", async (t) => {
  t.timeout(120_000);
  const { gateway, programId } = t.context;
  const childrenOf = (pid: number | string) =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  const children = childrenOf(gateway.process.pid ?? 0).flatMap((pid) => [pid, ...childrenOf(pid)]);
  const rss = () =>
    children.reduce(
      (sum, pid) =>
        sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024,
      0,
    );
  const question = "x".repeat(50_000);
  const some = async () => {
    for (let n = 0; n < 20; n++)
      await Promise.all(
        Array.from({ length: 20 }, (_, m) =>
          gateway.programs.executeProgram({ programId, inputs: { question: `${n} ${m} ${question}` } }),
        ),
      );
    return rss();
  };
  const first = await some();
  const second = await some();
  t.log(`${Math.round(first)} MiB after 400 runs with 50 kB each, ${Math.round(second)} MiB after 800`);
  // 400 inputs alone would be 20 MB, and histories and traces hold each several times.
  t.true(second < first + 15);
});
