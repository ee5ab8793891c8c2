import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import { ExecutionView } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { failure } from "../_errors.ts";
import { type Gateway, shared, startScripted } from "../_gateway.ts";
import type { ScriptedModel } from "../_model.ts";
import { createProgram, record } from "../_recorded.ts";

type Context = { gateway: Gateway; model: ScriptedModel; programId: string };
const test = anyTest as TestFn<Context>;
const file = shared(anyTest);

test.before(async (t) => {
  const { gateway, model } = await startScripted(file);
  const programId = await createProgram(gateway, "Main");
  t.context = { gateway, model, programId };
  const outputs = (confidence: number, sources: string[]) => ({ answer: "yes", confidence, sources });
  await record(gateway, programId, {
    inputs: { question: "Will it rain?" },
    outputs: outputs(0.9, ["wiki", "news"]),
  });
  await record(gateway, programId, {
    inputs: { question: "RAIN?" },
    outputs: outputs(0.2, []),
    labels: { team: "search" },
  });
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
  [
    'created_at > "2020-01-01T00:00:00Z" AND created_at < 2099-01-01T00:00:00+01:00',
    ["Will it rain?", "RAIN?", "Sun?"],
  ],
];

for (const [filter, questions] of filters)
  test(`finds the executions that match ${filter || "no filter"}`, async ({
    context: { gateway, programId },
    is,
    deepEqual,
  }) => {
    const and = filter ? `(${filter}) AND program_id = ${programId}` : `program_id = ${programId}`;
    const asked = { filter: and, orderBy: "created_at", view: ExecutionView.FULL, countTotal: true };
    const { executions, totalSize } = await gateway.executions.listExecutions(asked);
    deepEqual(
      executions.map(({ inputs }) => inputs?.question),
      questions,
    );
    is(totalSize, questions.length);
  });

test("the outputs of inner modules are found in the steps", async (t) => {
  const { gateway, model } = t.context;
  model.script({ fields: { reasoning: "Dark clouds over Ulm.", answer: "rain" } });
  const modules = [{ type: "ChainOfThought" }];
  await gateway.programs.createProgram({
    program: { name: "Thinks", modules, signature: { text: "question -> answer" } },
  });
  const { execution } = await gateway.programs.executeProgram({
    programId: "thinks",
    inputs: { question: "?" },
  });
  const found = async (filter: string) =>
    (await gateway.executions.listExecutions({ filter: `program_id = thinks AND ${filter}` })).executions.map(
      ({ id }) => id,
    );
  t.deepEqual(await found('steps.outputs.reasoning : "CLOUDS" AND steps.module : chain'), [execution?.id]);
  t.deepEqual(await found("steps.outputs : reasoning"), [execution?.id]);
  t.deepEqual(await found('steps.outputs.reasoning : "sun" OR steps.raw_answer:*'), []);
});

test("every list refuses an invalid filter with the position of the error", async (t) => {
  const { signatures, programs, executions } = t.context.gateway;
  const filter = "created_at > yesterday";
  for (const call of [
    signatures.listSignatures({ filter }),
    programs.listPrograms({ filter }),
    programs.listRevisions({ programId: "main", filter }),
    executions.listExecutions({ filter }),
    executions.aggregateExecutions({ filter }),
  ]) {
    const told = await failure(t, call);
    t.like(told, { code: Code.InvalidArgument, reason: "FILTER_INVALID", paths: ["filter"] });
    t.regex(told.message, /at position 14: expected a time such as 2026-11-24T10:00:00Z/);
  }
  t.regex(
    (await failure(t, programs.listPrograms({ filter: "colour = red" }))).message,
    /position 1: expected one of id, handle, name, .*; unknown field colour/,
  );
});

test("lists support order_by, skip and distinct", async (t) => {
  const { executions } = t.context.gateway;
  const filter = `program_id = ${t.context.programId}`;
  const questions = async (asked: { orderBy?: string; skip?: number; distinctOn?: string[] }) =>
    (await executions.listExecutions({ filter, view: ExecutionView.FULL, ...asked })).executions.map(
      ({ inputs }) => inputs?.question,
    );
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

test("programs can be listed with their newest executions", async (t) => {
  const { gateway } = t.context;
  const programId = await createProgram(gateway, "Latest");
  const ids: string[] = [];
  for (let left = 4; left > 0; left--)
    ids.push(await record(gateway, programId, { inputs: { question: "x" } }));
  const { programs } = await gateway.programs.listPrograms({
    filter: "handle = latest",
    latestExecutionsCount: 3,
  });
  t.deepEqual(
    programs[0]?.latestExecutions.map(({ id }) => id),
    ids.toReversed().slice(0, 3),
  );
  t.is(programs[0]?.latestExecutions[0]?.inputs, undefined);
  t.deepEqual(
    (await gateway.programs.listPrograms({ filter: "handle = latest" })).programs[0]?.latestExecutions,
    [],
  );
});

test("executions are aggregated, with and without groups", async (t) => {
  const { gateway, programId } = t.context;
  const filter = `program_id = ${programId}`;
  const { aggregates } = await gateway.executions.aggregateExecutions({
    filter,
    groupBy: ["status", "labels.team"],
  });
  t.deepEqual(
    aggregates.map(({ group, count, successRate, durationMsP99 }) => ({
      ...group,
      count,
      successRate,
      durationMsP99,
    })),
    [
      { status: "COMPLETED", "labels.team": "", count: 1n, successRate: 1, durationMsP99: 1500 },
      { status: "COMPLETED", "labels.team": "search", count: 1n, successRate: 1, durationMsP99: 1500 },
      { status: "RUNNING", "labels.team": "ads", count: 1n, successRate: 0, durationMsP99: 0 },
    ],
  );
  const all = await gateway.executions.aggregateExecutions({ filter });
  t.deepEqual(
    all.aggregates.map(({ group, count, completed, successRate }) => ({
      group,
      count,
      completed,
      successRate,
    })),
    [{ group: {}, count: 3n, completed: 2n, successRate: 2 / 3 }],
  );
  const none = await gateway.executions.aggregateExecutions({ filter: 'model = "nobody\'s"' });
  t.deepEqual(
    none.aggregates.map(({ count, successRate, durationMsAvg }) => ({ count, successRate, durationMsAvg })),
    [{ count: 0n, successRate: 0, durationMsAvg: 0 }],
  );
  t.deepEqual(
    (await gateway.executions.aggregateExecutions({ filter: 'model = "nobody\'s"', groupBy: ["day"] }))
      .aggregates,
    [],
  );
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

test("programs and signatures are queried like executions", async (t) => {
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
  t.is(
    (await signatures.listSignatures({ filter: "name : asks", distinctOn: ["instructions"] })).signatures
      .length,
    1,
  );
  const newest = await programs.listPrograms({
    filter: "status = DRAFT",
    orderBy: "name desc",
    distinctOn: ["status"],
    countTotal: true,
  });
  t.is(newest.programs.length, 1);
  t.is(newest.totalSize, 1);
});

test("the revisions of a program are queried like programs", async (t) => {
  const { gateway } = t.context;
  const { programs } = gateway;
  await createProgram(gateway, "Revised");
  for (const maxTokens of [10, 20])
    await programs.updateProgram({ program: { id: "revised", lm: { maxTokens } } });
  await programs.rollbackProgram({ programId: "revised", revision: 2 });
  const numbers = async (asked: object) =>
    (await programs.listRevisions({ programId: "revised", ...asked })).revisions.map(({ number }) => number);
  t.deepEqual(await numbers({}), [4, 3, 2, 1]);
  t.deepEqual(await numbers({ filter: "origin = updated AND status = DRAFT" }), [3, 2]);
  t.deepEqual(
    await numbers({ filter: "NOT score >= 0.5 AND number > 1", orderBy: "score desc, number", skip: 1 }),
    [3, 4],
  );
  t.deepEqual(await numbers({ orderBy: "number", distinctOn: ["origin"] }), [1, 2, 4]);
  const first = await programs.listRevisions({
    programId: "revised",
    orderBy: "origin, created_at",
    pageSize: 3,
    countTotal: true,
  });
  t.is(first.totalSize, 4);
  const { nextPageToken: pageToken } = first;
  t.deepEqual(await numbers({ orderBy: "origin, created_at", pageToken }), [3]);
  t.like(
    await failure(t, programs.listRevisions({ programId: "main", orderBy: "origin, created_at", pageToken })),
    {
      reason: "PAGE_TOKEN_INVALID",
    },
  );
});
