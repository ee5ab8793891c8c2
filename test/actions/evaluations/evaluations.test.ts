import { Code } from "@connectrpc/connect";
import anyTest, { type TestFn } from "ava";
import pg from "pg";
import type {
  EvaluateProgramResponse,
  EvaluationSummary,
  ExampleResult,
} from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";
import { createMoods, learning, sentences } from "../../_moods.ts";
import { until } from "../../_wait.ts";

const test = anyTest.serial as TestFn<{
  gateway: Gateway;
  model: ScriptedModel;
  url: string;
  programId: string;
}>;
const file = shared(anyTest);
test.before(async (t) => {
  const { gateway, model, env } = await startScripted(file, { SIGRUN_DATABASE_SCHEMA: "public" });
  t.context = { gateway, model, url: env.DATABASE_URL, programId: await createMoods(gateway) };
});
test.beforeEach(({ context }) => context.model.answer(learning));

async function collect(stream: AsyncIterable<EvaluateProgramResponse>) {
  const results: ExampleResult[] = [];
  let summary: EvaluationSummary | undefined;
  for await (const { event } of stream) {
    if (event.case === "result") results.push(event.value);
    if (event.case === "summary") summary = event.value;
  }
  return { results: results.sort((one, other) => one.index - other.index), summary };
}

/** The records, newest first. */
async function recorded(url: string) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query("SELECT * FROM evaluations ORDER BY id DESC");
  await client.end();
  return rows;
}

test("gives the score of every example, then the summary, and records the evaluation", async (t) => {
  const { gateway, programId, url } = t.context;
  const before = (await gateway.executions.listExecutions({ countTotal: true })).totalSize;
  const { results, summary } = await collect(
    gateway.programs.evaluateProgram({ programId, dataset: sentences }),
  );
  t.deepEqual(
    results.map(({ index, score }) => [index, score]),
    sentences.map(({ outputs }, index) => [index, outputs.mood === "sad" ? 1 : 0]),
  );
  t.true(results.every(({ outputs }) => outputs?.mood === "sad"));
  t.like(summary, { score: 0.5, examples: 12, failures: 0, metricScores: { exact_match: 0.5 } });
  t.is(summary?.tokenUsage?.lmCalls, 12n);
  const [row] = await recorded(url);
  t.like(row, {
    status: "completed",
    revision: 1,
    examples: 12,
    scored: 12,
    failures: 0,
    score: 0.5,
    lm_calls: "12",
  });
  t.is((await gateway.executions.listExecutions({ countTotal: true })).totalSize, before);
  const { program } = await gateway.programs.getProgram({ id: programId });
  t.like(program?.performanceMetrics, { evaluation: { revision: 1, score: 0.5, examples: 12 } });
});

test("an example that fails scores 0 and is answered with its fault", async (t) => {
  const { gateway, model, programId } = t.context;
  model.answer((asked) =>
    asked.messages.at(-1)?.content.includes("Sentence 3") ? { text: "no fields" } : learning(asked),
  );
  const { results, summary } = await collect(
    gateway.programs.evaluateProgram({ programId, dataset: sentences, concurrency: 2 }),
  );
  t.is(results[3]?.failure?.reason, "OUTPUT_INVALID");
  t.is(results[3]?.score, 0);
  t.is(summary?.failures, 1);
  t.true(model.most() <= 2);
});

test("the score is the weighted mean of several metrics, one of them a judge", async (t) => {
  const { gateway, model, programId } = t.context;
  model.answer((asked) => {
    const isJudged = asked.messages.some(({ content }) => content.includes("Be kind."));
    return isJudged ? { fields: { reason: "so", score: 0.5 } } : { fields: { mood: "sad" } };
  });
  const metrics = [
    { name: "exact_match", field: "mood", weight: 3 },
    { name: "judge", params: { rubric: "Be kind." }, weight: 1 },
  ];
  const { results, summary } = await collect(
    gateway.programs.evaluateProgram({ programId, dataset: sentences.slice(0, 2), metrics }),
  );
  t.deepEqual(
    results.map(({ score }) => score),
    [0.125, 0.875],
  );
  t.like(summary, { score: 0.5, metricScores: { exact_match: 0.5, judge: 0.5 } });
  t.is(summary?.tokenUsage?.lmCalls, 4n);
});

test("no judge is asked about an answer that fails the run by a constraint", async (t) => {
  const { gateway, model } = t.context;
  const signature = {
    inputs: [{ name: "sentence" }],
    outputs: [{ name: "mood", constraints: { pattern: "[a-z]+" } }],
  };
  const { program } = await gateway.programs.createProgram({ program: { name: "Strict", signature } });
  model.answer(() => ({ fields: { mood: "very sad" } }));
  const before = model.requests.length;
  const { results, summary } = await collect(
    gateway.programs.evaluateProgram({
      programId: program?.id ?? "",
      dataset: [{ inputs: { sentence: "It rains." }, outputs: { mood: "sad" } }],
      metrics: [{ name: "judge", params: { rubric: "Be kind." } }],
    }),
  );
  t.is(results[0]?.failure?.reason, "OUTPUT_INVALID");
  t.like(summary, { score: 0, failures: 1 });
  t.is(model.requests.length, before + 1);
});

test("an evaluation whose caller leaves is recorded with the examples scored so far", async (t) => {
  const { gateway, model, programId, url } = t.context;
  model.script({ fields: { mood: "sad" } }, { hang: true });
  const left = new AbortController();
  const stream = gateway.programs.evaluateProgram(
    { programId, dataset: sentences, concurrency: 1 },
    { signal: left.signal },
  );
  await t.throwsAsync(async () => {
    for await (const { event } of stream) if (event.case === "result") left.abort();
  });
  const row = await until(async () => (await recorded(url)).find(({ status }) => status === "cancelled"));
  t.like(row, { scored: 1, examples: 12, error_reason: "CANCELLED" });
});

test("refuses an invalid evaluation before any example runs", async (t) => {
  const { gateway, model, programId, url } = t.context;
  const { length } = model.requests;
  const rows = (await recorded(url)).length;
  const refused = async (request: object) => {
    const { code, paths } = await failure(
      t,
      collect(gateway.programs.evaluateProgram({ programId, dataset: sentences, ...request })),
    );
    t.is(code, Code.InvalidArgument);
    return paths;
  };
  t.deepEqual(await refused({ dataset: [] }), ["dataset"]);
  t.deepEqual(await refused({ dataset: [{ inputs: { text: {} }, outputs: { mood: "sad" } }] }), [
    "dataset[0].inputs.text",
  ]);
  t.deepEqual(await refused({ metrics: [{ name: "luck" }] }), ["metrics[0].name"]);
  t.deepEqual(await refused({ concurrency: 1000 }), ["concurrency"]);
  t.deepEqual(await refused({ lm: { model: "openai/none" } }), ["lm.model"]);
  t.is(model.requests.length, length);
  t.is((await recorded(url)).length, rows);
});
