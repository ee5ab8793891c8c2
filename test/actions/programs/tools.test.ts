import { existsSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startGateway, startScripted } from "../../_gateway.ts";
import { freePort, mcpFile, startHttpServer, stdioServer } from "../../_mcp.ts";
import type { ScriptedModel } from "../../_model.ts";
import { until } from "../../_wait.ts";

type Context = {
  gateway: Gateway;
  model: ScriptedModel;
  dir: string;
  port: number;
  env: Record<string, string>;
};
const test = anyTest.serial as TestFn<Context>;
const file = shared(anyTest);
type T = ExecutionContext<Context>;

test.before(async (t) => {
  const port = await freePort();
  const { file: path, dir } = mcpFile(file, (dir) => ({
    weather: stdioServer(dir),
    far: { url: `http://127.0.0.1:${port}/mcp`, headers: { Authorization: "Bearer secret" } },
  }));
  t.context = { ...(await startScripted(file, { SIGRUN_MCP_SERVERS: path })), dir, port };
  const { catalogue } = t.context.gateway;
  await until(async () => (await catalogue.listTools({})).serversAway.length === 1);
});

const inputs = { question: "Rain in Oslo?" };
const call = (tool: string, args: object = {}) => ({
  fields: { next_thought: `I call ${tool}`, next_tool_name: tool, next_tool_args: args },
});
const finish = call("finish");
const answer = { fields: { reasoning: "it says so", answer: "Yes" } };

const acting = (...tools: string[]) => ({
  name: "Acting",
  signature: { text: "question -> answer" },
  modules: [{ name: "act", type: "ReAct", tools, params: { max_iters: 6 } }],
});

async function create({ context }: T, program: object): Promise<string> {
  return (await context.gateway.programs.createProgram({ program })).program?.id ?? "";
}

async function record({ context }: T, id: string) {
  return (await context.gateway.executions.getExecution({ id })).execution;
}

test("the catalogue lists the tools and the servers that are away", async (t) => {
  const { tools, serversAway } = await t.context.gateway.catalogue.listTools({});
  t.like(
    tools.find(({ name }) => name === "weather.forecast"),
    { description: "What the weather will be." },
  );
  t.deepEqual(serversAway, ["far"]);
  const { modules } = await t.context.gateway.catalogue.listModules({});
  t.is(modules.find(({ name }) => name === "ReAct")?.refused, "");
});

test("ReAct calls tools, and its trajectory is on record", async (t) => {
  const programId = await create(t, acting("weather.forecast"));
  t.context.model.script(call("weather.forecast", { city: "Oslo", days: 2 }), finish, answer);
  const { outputs, execution } = await t.context.gateway.programs.executeProgram({ programId, inputs });
  t.deepEqual(outputs, { answer: "Yes" });
  const made = await record(t, execution?.id ?? "");
  t.is(made?.tokenUsage?.lmCalls, 3n);
  t.like(made?.steps[0]?.outputs, {
    reasoning: "it says so",
    trajectory: {
      tool_name_0: "weather.forecast",
      tool_args_0: { city: "Oslo", days: 2 },
      observation_0: "Oslo: rain for 2 day(s)",
    },
  });
});

test("ReAct runs in a pipeline, a stream and a batch", async (t) => {
  const { gateway, model } = t.context;
  const programId = await create(t, {
    ...acting(),
    modules: [
      { name: "act", type: "ReAct", tools: ["weather.forecast"], signature: { text: "question -> weather" } },
      { name: "say", type: "Predict", signature: { text: "question, weather -> answer" } },
    ],
  });
  const turns = [
    call("weather.forecast", { city: "Oslo" }),
    finish,
    { fields: { reasoning: "so", weather: "rain" } },
  ];
  model.script(...turns, { fields: { answer: "Rain." } });
  let text = "";
  for await (const { event } of gateway.programs.streamProgram({ programId, inputs })) {
    if (event.case === "chunk" && event.value.field === "weather") text += event.value.text;
    if (event.case === "done") t.deepEqual(event.value.outputs, { answer: "Rain." });
  }
  t.is(text, "rain");
  const alone = await create(t, acting("weather.forecast"));
  model.script(finish, answer, finish, answer);
  for await (const { result } of gateway.programs.batchExecuteProgram({
    programId: alone,
    items: [{ inputs }, { inputs }],
    concurrency: 1,
  }))
    t.like(result, { case: "response", value: { outputs: { answer: "Yes" } } });
});

test("a program with tools can be read and sent back, and its model can be changed", async (t) => {
  const { programs } = t.context.gateway;
  const id = await create(t, acting("weather.forecast"));
  const { program } = await programs.getProgram({ id });
  t.deepEqual(program?.modules[0]?.tools, ["weather.forecast"]);
  t.is((await programs.updateProgram({ program: program as object })).program?.revision, 1);
  const changed = await programs.updateProgram({ program: { id, lm: { temperature: 0.5 } } });
  t.deepEqual(changed.program?.modules[0]?.tools, ["weather.forecast"]);
});

test("refuses unknown tools and lists the known ones", async (t) => {
  const refused = await failure(
    t,
    t.context.gateway.programs.createProgram({ program: acting("weather.nope", "far.forecast") }),
  );
  t.like(refused, { code: Code.InvalidArgument, reason: "PROGRAM_INVALID" });
  t.deepEqual(refused.paths, ["program.modules[0].tools[0]", "program.modules[0].tools[1]"]);
  t.regex(refused.message, /expected one of weather\.forecast, .*far, which is unreachable/);
});

test("a failed run records its tokens, and a cancelled run cancels its tool call", async (t) => {
  const { gateway, model, dir } = t.context;
  const programId = await create(t, acting("weather.forecast", "weather.slow"));
  model.script(call("weather.forecast", { city: "Oslo" }), { status: 401, error: { message: "no" } });
  const failed = await failure(t, gateway.programs.executeProgram({ programId, inputs }));
  t.is(failed.reason, "LM_AUTH_FAILED");
  t.like(await record(t, failed.metadata.execution_id ?? ""), {
    tokenUsage: { lmCalls: 2n, outputTokens: 12n },
  });

  model.script(call("weather.slow"));
  const late = await t.throwsAsync(
    gateway.programs.executeProgram({ programId, inputs }, { timeoutMs: 5_000 }),
    {
      instanceOf: ConnectError,
    },
  );
  t.is(late?.code, Code.DeadlineExceeded);
  t.true(existsSync(join(dir, "started")));
  await until(() => existsSync(join(dir, "cancelled")));
});

test("a server that starts later gives its tools, and the model is told if a server dies", async (t) => {
  const { gateway, model, port } = t.context;
  const server = startHttpServer(t, port);
  await until(async () => (await gateway.catalogue.listTools({})).serversAway.length === 0);
  const programId = await create(t, acting("far.forecast"));
  model.script(call("far.forecast", { city: "Oslo" }), finish, answer);
  const there = await gateway.programs.executeProgram({ programId, inputs });
  t.like((await record(t, there.execution?.id ?? ""))?.steps[0]?.outputs, {
    trajectory: { observation_0: "Oslo: rain for 1 day(s)" },
  });
  await server.stop();
  model.script(call("far.forecast", { city: "Oslo" }), finish, answer);
  const away = await gateway.programs.executeProgram({ programId, inputs });
  t.deepEqual(away.outputs, { answer: "Yes" });
  const outputs = (await record(t, away.execution?.id ?? ""))?.steps[0]?.outputs as {
    trajectory: { observation_0: string };
  };
  t.regex(outputs.trajectory.observation_0, /^Error: /);
});

test("no content of the file of MCP servers is shown", async (t) => {
  const { settings } = await t.context.gateway.admin.getServerInfo({});
  t.like(settings, { SIGRUN_MCP_SERVERS: "set" });
  t.false(`${JSON.stringify(settings)} ${t.context.gateway.log()}`.includes("secret"));
});

test("without servers there are no tools, and ReAct runs without them", async (t) => {
  const gateway = await startGateway(t, t.context.env);
  t.like(await gateway.catalogue.listTools({}), { tools: [], serversAway: [] });
  const { program } = await gateway.programs.createProgram({ program: acting() });
  t.context.model.script(finish, answer);
  t.deepEqual((await gateway.programs.executeProgram({ programId: program?.id ?? "", inputs })).outputs, {
    answer: "Yes",
  });
  t.regex(
    (await failure(t, gateway.programs.createProgram({ program: acting("weather.forecast") }))).message,
    /unknown tool; there are none/,
  );
});

test("a tool may have another name in the model's prompt", async (t) => {
  const { gateway, model } = t.context;
  model.script(call("forecast", { city: "Oslo" }), finish, answer);
  const id = await create(t, acting("weather.forecast as forecast"));
  const { outputs } = await gateway.programs.executeProgram({ programId: id, inputs });
  t.deepEqual(outputs, { answer: "Yes" });
  for (const [tools, path] of [
    [["weather.forecast as finish"], "tools[0]"],
    [["weather.forecast as a b"], "tools[0]"],
    [["weather.nope as forecast"], "tools[0]"],
    [["weather.forecast as x", "weather.slow as x"], "tools[1]"],
  ] as const) {
    const refused = await failure(t, gateway.programs.createProgram({ program: acting(...tools) }));
    t.deepEqual([refused.reason, ...refused.paths], ["PROGRAM_INVALID", `program.modules[0].${path}`]);
  }
});
