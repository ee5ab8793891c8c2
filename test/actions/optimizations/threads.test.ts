import { Code } from "@connectrpc/connect";
import { OptimizationStatus } from "../../../src/gen/sigrun/v1/optimization_service_pb.ts";
import { failure } from "../../_errors.ts";
import { createMoodsTest, ended, learning, sentences } from "../../_moods.ts";
import { until } from "../../_wait.ts";

const test = createMoodsTest();

test("an optimization asks for as many examples at once as its request has threads, and keeps them on record", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script({ fields: { mood: "sad" } });
  let release = () => {};
  const after = new Promise<void>((resolve) => {
    release = resolve;
  });
  model.answer((request) => ({ ...learning(request), after }));
  const request = { programId, dataset: sentences, valset: sentences, optimizer: "LabeledFewShot" };
  const { optimization } = await gateway.programs.optimizeProgram({ ...request, threads: 3 });
  t.is(optimization?.threads, 3);
  await until(() => model.most() === 3);
  release();
  const done = await ended(gateway, optimization?.id ?? "");
  t.like(done, { status: OptimizationStatus.COMPLETED, threads: 3, score: 1 });
  t.is(model.most(), 3);

  const byDefault = await gateway.programs.optimizeProgram(request);
  t.is(byDefault.optimization?.threads, 0);
  await ended(gateway, byDefault.optimization?.id ?? "");
  const { optimizations } = await gateway.optimizations.listOptimizations({
    filter: `program_id = "${programId}" AND threads > 1`,
  });
  t.deepEqual(
    optimizations.map(({ id }) => id),
    [optimization?.id],
  );
});

test("more than 64 threads are refused, and a request_id with another number of threads", async (t) => {
  const { gateway, programId } = t.context;
  const start = (threads: number, requestId = "") =>
    gateway.programs.optimizeProgram({ programId, dataset: sentences, threads, requestId });
  t.like(await failure(t, start(65)), { code: Code.InvalidArgument, paths: ["threads"] });
  const { optimization } = await start(64, "0000000a-0000-4000-8000-000000000000");
  t.is(optimization?.threads, 64);
  t.like(await failure(t, start(63, "0000000a-0000-4000-8000-000000000000")), {
    reason: "REQUEST_ID_REUSED",
  });
  t.is((await start(64, "0000000a-0000-4000-8000-000000000000")).optimization?.id, optimization?.id);
  await ended(gateway, optimization?.id ?? "");
});
