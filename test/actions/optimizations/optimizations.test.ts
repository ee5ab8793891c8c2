import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { OptimizationStatus } from "../../../src/gen/sigrun/v1/optimization_service_pb.ts";
import { ProgramStatus } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { failure } from "../../_errors.ts";
import { createMoodsTest, ended, learning, sentences } from "../../_moods.ts";
import { until } from "../../_wait.ts";

const test = createMoodsTest();

test("an optimization is on record at once and makes a better revision in the background, which can be deployed", async (t) => {
  const { gateway, model, programId } = t.context;
  const { optimization: queued } = await gateway.programs.optimizeProgram({
    programId,
    dataset: sentences,
    labels: { team: "moods" },
  });
  t.is(queued?.status, OptimizationStatus.PENDING);
  t.like(queued, {
    programId,
    baseRevision: 1,
    optimizer: "BootstrapFewShot",
    trainsetSize: 9,
    valsetSize: 3,
    labels: { team: "moods" },
  });
  t.is(queued?.metrics[0]?.name, "exact_match");

  const done = await ended(gateway, queued?.id ?? "");
  t.like(done, { status: OptimizationStatus.COMPLETED, errorReason: "", revision: 2, score: 1, attempt: 1 });
  t.true((done.baselineScore ?? 1) < 1);
  t.true((done.tokenUsage?.inputTokens ?? 0n) > 0n);
  t.is(done.progress?.fraction, 1);
  t.true(done.startedAt !== undefined && done.completedAt !== undefined);

  const { program } = await gateway.programs.getProgram({ id: programId });
  t.like(program, { status: ProgramStatus.OPTIMIZED, revision: 2 });
  t.like(program?.performanceMetrics, { score: 1, baseline_score: done.baselineScore });
  t.is(JSON.parse(program?.compiledState ?? "{}").demos.length, 9);
  const { revision } = await gateway.programs.getRevision({ programId, revision: 2 });
  t.like(revision, { origin: "optimized", optimizationId: done.id, score: 1 });

  await gateway.programs.deployProgram({ programId });
  const { outputs } = await gateway.programs.executeProgram({
    programId,
    inputs: { text: "Sentence 99 is glad." },
  });
  t.deepEqual(outputs, { mood: "glad" });
  t.true((model.requests.at(-1)?.messages.length ?? 0) > 2);
});

test("a result that is not better makes no revision, unless keep_worse is set", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script({ fields: { mood: "sad" } });
  const run = async (keepWorse: boolean) => {
    const { optimization } = await gateway.programs.optimizeProgram({
      programId,
      dataset: sentences,
      keepWorse,
    });
    return ended(gateway, optimization?.id ?? "");
  };
  t.like(await run(false), { status: OptimizationStatus.COMPLETED, revision: 0 });
  t.is((await gateway.programs.getProgram({ id: programId })).program?.revision, 1);
  t.like(await run(true), { status: OptimizationStatus.COMPLETED, revision: 2 });
});

test("a watch gives every step to the end", async (t) => {
  const { gateway, model, programId } = t.context;
  // A quick optimization may end before the watch reads its phases: then only the last is seen.
  let sawBaseline = () => {};
  const after = new Promise<void>((resolve) => {
    sawBaseline = resolve;
  });
  model.answer((request) => ({ ...learning(request), after }));
  const { optimization } = await gateway.programs.optimizeProgram({ programId, dataset: sentences });
  const seen: { status: OptimizationStatus; phase: string }[] = [];
  for await (const { event } of gateway.optimizations.watchOptimization({ id: optimization?.id ?? "" })) {
    if (event.case !== "optimization") continue;
    seen.push({ status: event.value.status, phase: event.value.progress?.phase ?? "" });
    if (seen.at(-1)?.phase === "baseline") sawBaseline();
  }
  t.is(seen.at(-1)?.status, OptimizationStatus.COMPLETED);
  t.true(seen.some(({ status }) => status === OptimizationStatus.RUNNING));
  t.true(seen.some(({ phase }) => phase === "baseline"));
});

test("a cancelled optimization ends at once: no more requests to the model, no change of the program", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script({ hang: true });
  const { optimization } = await gateway.programs.optimizeProgram({ programId, dataset: sentences });
  const id = optimization?.id ?? "";
  await until(() => model.most() > 0);
  const aborted = model.aborted();
  const { optimization: cancelled } = await gateway.optimizations.cancelOptimization({ id });
  t.like(cancelled, { status: OptimizationStatus.CANCELLED, errorReason: "CANCELLED" });
  await until(() => model.aborted() > aborted);
  t.is((await gateway.programs.getProgram({ id: programId })).program?.revision, 1);
  t.is((await failure(t, gateway.optimizations.cancelOptimization({ id }))).reason, "STATUS_CONFLICT");
  t.like(await ended(gateway, id), { status: OptimizationStatus.CANCELLED, revision: 0 });
});

test("a request_id starts one optimization, and is refused with another request", async (t) => {
  const { gateway, programId } = t.context;
  const requestId = randomUUID();
  const ask = (seed: bigint) =>
    gateway.programs.optimizeProgram({ programId, dataset: sentences, requestId, seed });
  const both = await Promise.all([ask(1n), ask(1n)]);
  t.is(both[0].optimization?.id, both[1].optimization?.id);
  t.is((await failure(t, ask(2n))).reason, "REQUEST_ID_REUSED");
  const { optimizations } = await gateway.optimizations.listOptimizations({
    filter: `program_id = "${programId}"`,
    countTotal: true,
  });
  t.is(optimizations.length, 1);
  await ended(gateway, both[0].optimization?.id ?? "");
});

test("refuses an invalid request with the path of every violation, and records nothing", async (t) => {
  const { gateway, programId } = t.context;
  const refused = async (request: object) => {
    const { code, paths } = await failure(
      t,
      gateway.programs.optimizeProgram({ programId, dataset: sentences, ...request }),
    );
    t.is(code, Code.InvalidArgument);
    return paths;
  };
  const wrong = [{ inputs: { text: "1" }, outputs: { mood: "furious" } }, { inputs: { tex: "2" } }];
  t.deepEqual(await refused({ dataset: [...sentences, ...wrong] }), [
    "dataset[12].outputs.mood",
    "dataset[13].inputs.tex",
    "dataset[13].inputs.text",
    "dataset[13].outputs.mood",
  ]);
  t.deepEqual(await refused({ dataset: [] }), ["dataset"]);
  t.deepEqual(await refused({ dataset: sentences.slice(0, 1) }), ["dataset"]);
  t.deepEqual(await refused({ optimizer: "Magic" }), ["optimizer"]);
  t.deepEqual(await refused({ config: { max_bootstrapped_demos: "4", demos: 1 } }), [
    "config.demos",
    "config.max_bootstrapped_demos",
  ]);
  t.deepEqual(await refused({ metrics: [{ name: "luck" }, { name: "exact_match", field: "text" }] }), [
    "metrics[0].name",
    "metrics[1].field",
  ]);
  t.deepEqual(await refused({ lms: { teacher: { model: "openai/none" }, uncle: {} } }), [
    "lms.teacher.model",
    "lms.uncle",
  ]);
  t.deepEqual(await refused({ budget: { lmCalls: -1n } }), ["budget.lm_calls"]);
  t.deepEqual(await refused({ seed: -1n }), ["seed"]);
  const each = { seed: -1n, labels: { "1": "" }, budget: { tokens: -1n }, optimizer: "Magic", dataset: [] };
  t.deepEqual(await refused(each), ["budget.tokens", "dataset", 'labels["1"]', "optimizer", "seed"]);
  t.deepEqual(await refused({ labels: { "1": "" } }), ['labels["1"]']);
  const { message } = await failure(
    t,
    gateway.programs.optimizeProgram({ programId, dataset: sentences, optimizer: "Magic" }),
  );
  t.true(message.includes("BootstrapFewShot") && message.includes("GEPA"));
  const { optimizations } = await gateway.optimizations.listOptimizations({
    filter: `program_id = "${programId}"`,
  });
  t.deepEqual(optimizations, []);
  t.is(
    (await failure(t, gateway.programs.optimizeProgram({ programId: randomUUID(), dataset: sentences })))
      .code,
    Code.NotFound,
  );
});

test("a spent budget ends an optimization with its best result so far; a budget that is too small fails it", async (t) => {
  const { gateway, programId } = t.context;
  const run = async (lmCalls: bigint) => {
    const request = {
      programId,
      dataset: sentences,
      budget: { lmCalls },
      optimizer: "BootstrapFewShotWithRandomSearch",
    };
    const { optimization } = await gateway.programs.optimizeProgram(request);
    return ended(gateway, optimization?.id ?? "");
  };
  const some = await run(40n);
  t.is(some.status, OptimizationStatus.COMPLETED);
  t.true((some.tokenUsage?.lmCalls ?? 99n) <= 40n);
  t.regex(some.progress?.message ?? "", /budget/);
  const none = await run(1n);
  t.like(none, { status: OptimizationStatus.FAILED, errorReason: "BUDGET_EXCEEDED", revision: 0 });
  t.is(none.tokenUsage?.lmCalls, 1n);
});

test("a provider that refuses the API key fails an optimization with its reason", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script({ status: 401, error: { message: "no such key", code: "invalid_api_key" } });
  const { optimization } = await gateway.programs.optimizeProgram({ programId, dataset: sentences });
  t.like(await ended(gateway, optimization?.id ?? ""), {
    status: OptimizationStatus.FAILED,
    errorReason: "LM_AUTH_FAILED",
  });
});

test("the catalogue lists the roles of models that an optimizer or a metric takes", async (t) => {
  const { catalogue } = t.context.gateway;
  const lmsOf = (entries: { name: string; lms: string[] }[]) =>
    Object.fromEntries(entries.map(({ name, lms }) => [name, lms]));
  const { optimizers } = await catalogue.listOptimizers({});
  t.like(lmsOf(optimizers), {
    BootstrapFewShot: ["teacher"],
    MIPROv2: ["teacher", "prompt", "task"],
    LabeledFewShot: [],
  });
  t.like(lmsOf((await catalogue.listMetrics({})).metrics), { exact_match: [], judge: ["judge"] });
});

test("the catalogue says which parameters a caller must set", async (t) => {
  const { metrics } = await t.context.gateway.catalogue.listMetrics({});
  const required = metrics.flatMap((metric) =>
    metric.parameters.filter((one) => one.required).map((one) => `${metric.name}: ${one.name}`),
  );
  t.deepEqual(required, ["judge: rubric"]);
});

test("optimizations can be filtered by any of their fields", async (t) => {
  const { gateway, programId } = t.context;
  const started = [];
  for (const seed of [1n, 2n, 3n])
    started.push(await gateway.programs.optimizeProgram({ programId, dataset: sentences, seed }));
  for (const { optimization } of started) await ended(gateway, optimization?.id ?? "");
  const list = (filter: string, orderBy = "") =>
    gateway.optimizations.listOptimizations({
      filter: `program_id = "${programId}" AND (${filter})`,
      orderBy,
    });
  t.is(
    (await list("status = COMPLETED AND score >= 0.5 AND optimizer = BootstrapFewShot")).optimizations.length,
    3,
  );
  t.is((await list("status = FAILED OR score < 0.5")).optimizations.length, 0);
  const { optimizations } = await list("score > 0", "created_at");
  t.deepEqual(
    optimizations.map(({ seed }) => seed),
    [1n, 2n, 3n],
  );
  const page = await gateway.optimizations.listOptimizations({
    filter: `program_id = "${programId}"`,
    pageSize: 2,
  });
  const next = await gateway.optimizations.listOptimizations({
    filter: `program_id = "${programId}"`,
    pageSize: 2,
    pageToken: page.nextPageToken,
  });
  t.deepEqual([page.optimizations.length, next.optimizations.length, next.nextPageToken], [2, 1, ""]);
});
