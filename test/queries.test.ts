import { setImmediate } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { ExecutionView } from "../src/gen/sigrun/v1/execution_service_pb.ts";
import { failure } from "./_errors.ts";
import { createHostility, createRandom } from "./_fuzz.ts";
import { type Gateway, shared, startScripted } from "./_gateway.ts";

type Context = { gateway: Gateway; model: Scripted["model"]; env: Scripted["env"]; programId: string };
type Scripted = Awaited<ReturnType<typeof startScripted>>;
const test = anyTest as TestFn<Context>;
const file = shared(anyTest);
const schema = "asked";

type Recorded = { inputs: { question: string }; outputs?: object; labels?: Record<string, string> };

/** Records a run that went on elsewhere. */
async function record({ executions }: Gateway, programId: string, { inputs, outputs, labels = {} }: Recorded): Promise<string> {
  const { execution } = await executions.startExecution({ programId, inputs, labels });
  const id = execution?.id ?? "";
  if (outputs) await executions.completeExecution({ id, outputs: outputs as never, durationMs: 1500n });
  return id;
}

async function createProgram({ programs }: Gateway, name: string): Promise<string> {
  const text = "question -> answer, confidence: Optional[float], sources: Optional[list[str]]";
  const { program } = await programs.createProgram({ program: { name, signature: { text, name: `Asks${name}` } } });
  return program?.id ?? "";
}

test.before(async (t) => {
  const { gateway, model, env } = await startScripted(file, { SIGRUN_DATABASE_SCHEMA: schema });
  const programId = await createProgram(gateway, "Main");
  t.context = { gateway, model, env, programId };
  const outputs = (confidence: number, sources: string[]) => ({ answer: "yes", confidence, sources });
  await record(gateway, programId, { inputs: { question: "Will it rain?" }, outputs: outputs(0.9, ["wiki", "news"]) });
  await record(gateway, programId, { inputs: { question: "RAIN?" }, outputs: outputs(0.2, []), labels: { team: "search" } });
  await record(gateway, programId, { inputs: { question: "Sun?" }, labels: { team: "ads", "a.b": "x" } });
});

const filters: readonly [filter: string, questions: string[]][] = [
  ["", ["Will it rain?", "RAIN?", "Sun?"]],
  ['inputs.question : "rain"', ["Will it rain?", "RAIN?"]],
  ["outputs.confidence >= 0.8", ["Will it rain?"]],
  ['outputs.sources : "wiki"', ["Will it rain?"]],
  ["status = COMPLETED", ["Will it rain?", "RAIN?"]],
  ["status = EXECUTION_STATUS_RUNNING", ["Sun?"]],
  ['labels.team = "search"', ["RAIN?"]],
  ['labels.team != "search"', ["Sun?"]],
  ['NOT labels.team = "search"', ["Will it rain?", "Sun?"]],
  ['labels.a.b = "x"', ["Sun?"]],
  ["labels:*", ["RAIN?", "Sun?"]],
  ["-outputs:*", ["Sun?"]],
  ["program_id = main status = RUNNING OR labels.team = search", ["RAIN?", "Sun?"]],
  ["duration_ms = 1500 AND duration_ms >= 1.5s", ["Will it rain?", "RAIN?"]],
  ['created_at > "2020-01-01T00:00:00Z" AND created_at < 2099-01-01T00:00:00+01:00', ["Will it rain?", "RAIN?", "Sun?"]],
];

for (const [filter, questions] of filters)
  test(`executions where ${filter || "nothing is asked"}`, async ({ context: { gateway, programId }, is, deepEqual }) => {
    const and = filter ? `(${filter}) AND program_id = ${programId}` : `program_id = ${programId}`;
    const asked = { filter: and, orderBy: "created_at", view: ExecutionView.FULL, countTotal: true };
    const { executions, totalSize } = await gateway.executions.listExecutions(asked);
    deepEqual(
      executions.map(({ inputs }) => inputs?.question),
      questions,
    );
    is(totalSize, questions.length);
  });

test("what a module made on the way to the outputs is found in the steps", async (t) => {
  const { gateway, model } = t.context;
  model.script({ fields: { reasoning: "Dark clouds over Ulm.", answer: "rain" } });
  const modules = [{ type: "ChainOfThought" }];
  await gateway.programs.createProgram({ program: { name: "Thinks", modules, signature: { text: "question -> answer" } } });
  const { execution } = await gateway.programs.executeProgram({ programId: "thinks", inputs: { question: "?" } });
  const found = async (filter: string) =>
    (await gateway.executions.listExecutions({ filter: `program_id = thinks AND ${filter}` })).executions.map(({ id }) => id);
  t.deepEqual(await found('steps.outputs.reasoning : "CLOUDS" AND steps.module : chain'), [execution?.id]);
  t.deepEqual(await found("steps.outputs : reasoning"), [execution?.id]);
  t.deepEqual(await found('steps.outputs.reasoning : "sun" OR steps.raw_answer:*'), []);
});

test("a filter that is none is refused with the place, in every list", async (t) => {
  const { signatures, programs, executions } = t.context.gateway;
  const filter = "created_at > yesterday";
  for (const call of [signatures.listSignatures({ filter }), programs.listPrograms({ filter }), executions.listExecutions({ filter })]) {
    const told = await failure(t, call);
    t.like(told, { code: Code.InvalidArgument, reason: "FILTER_INVALID", paths: ["filter"] });
    t.regex(told.message, /at position 14: expected a time such as 2026-11-24T10:00:00Z/);
  }
  t.regex(
    (await failure(t, programs.listPrograms({ filter: "colour = red" }))).message,
    /position 1: expected one of id, handle, name, .*; there is no colour/,
  );
});

test("a page's token is its own query's alone", async (t) => {
  const { executions } = t.context.gateway;
  const query = { filter: "labels:*", orderBy: "duration_ms, id", pageSize: 1 };
  const { nextPageToken: pageToken } = await executions.listExecutions(query);
  t.is((await executions.listExecutions({ ...query, pageSize: 7, pageToken })).executions.length, 1);
  for (const other of [{ filter: "" }, { orderBy: "duration_ms desc, id" }, { distinctOn: ["status"] }, { pageToken: `${pageToken}x` }])
    t.like(await failure(t, executions.listExecutions({ ...query, pageToken, ...other })), {
      reason: "PAGE_TOKEN_INVALID",
      paths: ["page_token"],
    });
  const forged = JSON.parse(Buffer.from(pageToken, "base64url").toString()) as string[];
  const token = Buffer.from(JSON.stringify([forged[0], "x'; --", "no uuid"])).toString("base64url");
  t.like(await failure(t, executions.listExecutions({ ...query, pageToken: token })), { reason: "PAGE_TOKEN_INVALID" });
});

test("lists are sorted, skipped in and made distinct as they are asked to be", async (t) => {
  const { executions } = t.context.gateway;
  const filter = `program_id = ${t.context.programId}`;
  const questions = async (asked: { orderBy?: string; skip?: number; distinctOn?: string[] }) =>
    (await executions.listExecutions({ filter, view: ExecutionView.FULL, ...asked })).executions.map(({ inputs }) => inputs?.question);
  t.deepEqual(await questions({ orderBy: "inputs.question" }), ["RAIN?", "Sun?", "Will it rain?"]);
  t.deepEqual(await questions({ orderBy: "outputs.confidence desc" }), ["Will it rain?", "RAIN?", "Sun?"]);
  t.deepEqual(await questions({ orderBy: "status desc, created_at", skip: 1 }), ["Will it rain?", "RAIN?"]);
  t.deepEqual(await questions({ orderBy: "created_at", distinctOn: ["status"] }), ["Will it rain?", "Sun?"]);
  t.deepEqual(await questions({ distinctOn: ["labels.team", "status"] }), ["Sun?", "RAIN?", "Will it rain?"]);
  for (const [asked, path] of [
    [{ orderBy: "created_at sideways" }, "order_by"],
    [{ orderBy: "inputs" }, "order_by"],
    [{ orderBy: "id, id desc" }, "order_by"],
    [{ distinctOn: ["status", "nothing"] }, "distinct_on[1]"],
    [{ skip: -1 }, "skip"],
    [{ pageSize: -1 }, "page_size"],
  ] as const)
    t.like(await failure(t, executions.listExecutions(asked as never)), {
      code: Code.InvalidArgument,
      reason: "REQUEST_INVALID",
      paths: [path],
    });
});

test("no row comes twice or is left out while others are being added", async (t) => {
  const { gateway } = t.context;
  const programId = await createProgram(gateway, "Paged");
  const ids: string[] = [];
  for (let left = 60; left > 0; left--) ids.push(await record(gateway, programId, { inputs: { question: "before" } }));
  let isPaging = true;
  const adding = (async () => {
    while (isPaging) await record(gateway, programId, { inputs: { question: "meanwhile" } });
  })();
  for (const orderBy of ["", "created_at", "status, created_at desc"]) {
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await gateway.executions.listExecutions({ filter: `program_id = paged`, orderBy, pageSize: 5, pageToken });
      seen.push(...page.executions.map(({ id }) => id));
      pageToken = page.nextPageToken;
      // Oldest first, there would be no end while rows are being added.
    } while (pageToken !== "" && !(orderBy === "created_at" && seen.length > 100));
    t.is(new Set(seen).size, seen.length, orderBy);
    t.deepEqual(
      ids.filter((id) => !seen.includes(id)),
      [],
      orderBy,
    );
  }
  isPaging = false;
  await adding;
});

test("a page ends before it grows too large for a client", async (t) => {
  const { gateway } = t.context;
  const programId = await createProgram(gateway, "Large");
  for (let left = 12; left > 0; left--) await record(gateway, programId, { inputs: { question: "x".repeat(700_000) } });
  const sizes: number[] = [];
  let pageToken = "";
  do {
    const page = await gateway.executions.listExecutions({ filter: "program_id = large", view: ExecutionView.FULL, pageToken });
    sizes.push(page.executions.length);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  t.deepEqual(sizes, [4, 4, 4]);
});

test("programs come with their newest executions", async (t) => {
  const { gateway } = t.context;
  const programId = await createProgram(gateway, "Latest");
  const ids: string[] = [];
  for (let left = 4; left > 0; left--) ids.push(await record(gateway, programId, { inputs: { question: "x" } }));
  const { programs } = await gateway.programs.listPrograms({ filter: "handle = latest", latestExecutionsCount: 3 });
  t.deepEqual(
    programs[0]?.latestExecutions.map(({ id }) => id),
    ids.toReversed().slice(0, 3),
  );
  t.is(programs[0]?.latestExecutions[0]?.inputs, undefined);
  t.deepEqual((await gateway.programs.listPrograms({ filter: "handle = latest" })).programs[0]?.latestExecutions, []);
});

test("executions are summed up, in groups or in all", async (t) => {
  const { gateway, programId } = t.context;
  const filter = `program_id = ${programId}`;
  const { aggregates } = await gateway.executions.aggregateExecutions({ filter, groupBy: ["status", "labels.team"] });
  t.deepEqual(
    aggregates.map(({ group, count, successRate, durationMsP99 }) => ({ ...group, count, successRate, durationMsP99 })),
    [
      { status: "COMPLETED", "labels.team": "", count: 1n, successRate: 1, durationMsP99: 1500 },
      { status: "COMPLETED", "labels.team": "search", count: 1n, successRate: 1, durationMsP99: 1500 },
      { status: "RUNNING", "labels.team": "ads", count: 1n, successRate: 0, durationMsP99: 0 },
    ],
  );
  const all = await gateway.executions.aggregateExecutions({ filter });
  t.deepEqual(
    all.aggregates.map(({ group, count, completed, successRate }) => ({ group, count, completed, successRate })),
    [{ group: {}, count: 3n, completed: 2n, successRate: 2 / 3 }],
  );
  const none = await gateway.executions.aggregateExecutions({ filter: 'model = "nobody\'s"' });
  t.deepEqual(
    none.aggregates.map(({ count, successRate, durationMsAvg }) => ({ count, successRate, durationMsAvg })),
    [{ count: 0n, successRate: 0, durationMsAvg: 0 }],
  );
  t.deepEqual((await gateway.executions.aggregateExecutions({ filter: 'model = "nobody\'s"', groupBy: ["day"] })).aggregates, []);
  for (const [groupBy, path] of [
    [["inputs.question"], "group_by[0]"],
    [["status", "labels"], "group_by[1]"],
    [["day", "day"], "group_by[1]"],
  ] as const)
    t.like(await failure(t, gateway.executions.aggregateExecutions({ groupBy: [...groupBy] })), {
      reason: "REQUEST_INVALID",
      paths: [path],
    });
});

test("programs and signatures are asked as executions are", async (t) => {
  const { programs, signatures } = t.context.gateway;
  const handles = async (filter: string, orderBy = "") =>
    (await programs.listPrograms({ filter, orderBy })).programs.map(({ handle }) => handle);
  t.deepEqual(await handles("handle = main AND status = DRAFT revision = 1"), ["main"]);
  t.deepEqual(await handles("performance_metrics.score > 0.5"), []);
  t.deepEqual(await handles("name : MAI"), ["main"]);
  const { signatures: found, totalSize } = await signatures.listSignatures({
    filter: "name : asks",
    orderBy: "name",
    countTotal: true,
    pageSize: 1,
  });
  t.true((totalSize ?? 0) >= 1);
  t.is(found.length, 1);
});

test("10,000 hostile strings in filter, order_by, page_token and distinct_on are answered or refused as INVALID_ARGUMENT", async (t) => {
  t.timeout(180_000);
  const { signatures, programs, executions } = t.context.gateway;
  const random = createRandom(11);
  const hostility = createHostility(random, ["status", "COMPLETED", "inputs.question", "labels.team", "created_at", "duration_ms"]);
  const parts = [
    " AND ",
    " OR ",
    "NOT ",
    "-",
    "(",
    ")",
    "=",
    "!=",
    "<",
    ">=",
    ":",
    "*",
    '"',
    "'",
    "\\",
    ".",
    ",",
    " desc",
    "1e400",
    "5s",
    "$1",
    "::uuid",
    "\n",
    " ",
  ];
  const text = () =>
    Array.from({ length: 1 + random.below(8) }, () => (random.chance(0.5) ? random.pick(parts) : hostility.text())).join("");
  // Tokens of sound queries, with other keys in them.
  const orders = ["", "duration_ms", "created_at, status", "inputs.question desc, id", "labels.team", "completed_at, id desc"];
  const forgeries = await Promise.all(
    orders.map(async (orderBy) => {
      const { nextPageToken } = await executions.listExecutions({ orderBy, pageSize: 1 });
      const [hash, ...keys] = JSON.parse(Buffer.from(nextPageToken, "base64url").toString()) as string[];
      const token = () =>
        Buffer.from(JSON.stringify([hash, ...keys.map((key) => (random.chance(0.4) ? key : text()))])).toString("base64url");
      return () => ({ orderBy, pageToken: token(), pageSize: 1 });
    }),
  );
  const counted: Record<string, number> = {};
  async function ask(): Promise<void> {
    const asked = {
      ...(random.chance(0.7) && { filter: text() }),
      ...(random.chance(0.3) && { orderBy: text() }),
      ...(random.chance(0.1) && { pageToken: text() }),
      pageSize: 1,
      countTotal: random.chance(0.3),
    };
    const distinct = random.chance(0.2) ? { distinctOn: [text(), text()].slice(random.below(2)) } : {};
    const call = random.pick([
      () => executions.listExecutions({ ...asked, ...distinct }),
      () => executions.listExecutions(random.pick(forgeries)()),
      () => programs.listPrograms(asked),
      () => signatures.listSignatures(asked),
    ]);
    const told = await call().then(
      () => "OK",
      (error: unknown) => (error instanceof ConnectError ? Code[error.code] : String(error)),
    );
    counted[told] = (counted[told] ?? 0) + 1;
  }
  async function askOften(): Promise<void> {
    for (let left = 1_250; left > 0; left--) await ask();
    await setImmediate();
  }
  await Promise.all(Array.from({ length: 8 }, askOften));
  t.log(counted);
  t.deepEqual(Object.keys(counted).sort(), ["InvalidArgument", "OK"]);
});
