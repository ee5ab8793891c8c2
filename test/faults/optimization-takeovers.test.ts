import anyTest, { type TestFn } from "ava";
import { OptimizationStatus } from "../../src/gen/sigrun/v1/optimization_service_pb.ts";
import { type Gateway, shared, startGateway, startTwo } from "../_gateway.ts";
import type { ScriptedModel } from "../_model.ts";
import { createMoods, ended } from "../_moods.ts";
import { begin, gated } from "../_optimizers.ts";
import { descendantsWith } from "../_processes.ts";
import { until } from "../_wait.ts";

type Context = { gateways: Gateway[]; model: ScriptedModel; env: Record<string, string> };
const test = anyTest.serial as TestFn<Context>;
const file = shared(anyTest);
/** The queue notices a dead gateway after 10 s or more. */
const patienceMs = 180_000;

test.before(async (t) => {
  const { one, two, model, env } = await startTwo(file);
  t.context = { gateways: [one, two], model, env };
});
// A test may end a gateway.
test.beforeEach(async ({ context }) => {
  const alive = context.gateways.filter(
    ({ process }) => process.exitCode === null && process.signalCode === null,
  );
  if (alive.length < 2) alive.push(await startGateway(file, context.env));
  context.gateways = alive;
});

/** Begins an optimization, which runs on one of two gateways until the model may answer. */
async function beginOnOneOfTwo({ gateways, model }: Context) {
  const [one, two] = gateways as [Gateway, Gateway];
  const { by, open } = gated();
  model.answer(by);
  const before = model.requests.length;
  const programId = await createMoods(one);
  const id = await begin(one, programId);
  await until(() => model.requests.length > before);
  const [holder, other] = descendantsWith(one.process.pid, "optimizer").length > 0 ? [one, two] : [two, one];
  return { holder, other, programId, id, open };
}

test("a gateway that was suspended and resumes commits nothing, since another gateway has taken over", async (t) => {
  t.timeout(patienceMs);
  const { holder: sleeper, other: survivor, programId, id, open } = await beginOnOneOfTwo(t.context);
  sleeper.process.kill("SIGSTOP");
  open();
  const done = await ended(survivor, id);
  t.like(done, { status: OptimizationStatus.COMPLETED, attempt: 2, revision: 2 });
  sleeper.process.kill("SIGCONT");
  // Once the gateway answers again, the result of its attempt has been handled or refused.
  await until(() => descendantsWith(sleeper.process.pid, "optimizer").length === 0);
  await sleeper.programs.executeProgram({ programId, inputs: { text: "x is sad" } });
  t.is((await survivor.programs.getProgram({ id: programId })).program?.revision, 2);
  t.like((await survivor.optimizations.getOptimization({ id })).optimization, { attempt: 2, revision: 2 });
});

test("another gateway takes over the optimization of a killed gateway within 30 s", async (t) => {
  t.timeout(patienceMs);
  const { holder: victim, other: survivor, id, open } = await beginOnOneOfTwo(t.context);
  victim.process.kill("SIGKILL");
  const killed = Date.now();
  open();
  const done = await ended(survivor, id);
  t.log(`taken over and completed after ${((Date.now() - killed) / 1000).toFixed(1)} s`);
  t.like(done, { status: OptimizationStatus.COMPLETED, attempt: 2, revision: 2 });
});

test("a gateway that stops hands its optimization over at once, and its attempt does not count as dead", async (t) => {
  t.timeout(patienceMs);
  const { holder, other, id, open } = await beginOnOneOfTwo(t.context);
  t.is(await holder.stop(), 0);
  open();
  t.like(await ended(other, id), { status: OptimizationStatus.COMPLETED, attempt: 2 });
});
