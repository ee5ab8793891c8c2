import anyTest, { type TestFn } from "ava";
import { type Optimization, OptimizationStatus } from "../src/gen/sigrun/v1/optimization_service_pb.ts";
import { type Gateway, shared, startScripted } from "./_gateway.ts";
import type { Asked, Reply, ScriptedModel } from "./_model.ts";
import { until } from "./_wait.ts";

const moods = ["glad", "sad"] as const;

/** A dataset of sentences that contain their mood. */
export const sentences = Array.from({ length: 12 }, (_, n) => ({
  inputs: { text: `Sentence ${n} is ${moods[n % 2]}.` },
  outputs: { mood: moods[n % 2] as string },
}));

/** Creates a program that classifies the mood of a sentence. */
export async function createMoods({ programs }: Gateway, name = "Moods"): Promise<string> {
  const { program } = await programs.createProgram({
    program: { name, signature: { text: 'text -> mood: Literal["glad", "sad"]' } },
  });
  return program?.id ?? "";
}

/** A model that answers correctly if the prompt has demos, and "sad" otherwise. */
export function learning({ messages }: Asked): Reply {
  const isShown = messages.length > 2;
  const asked = messages.at(-1)?.content ?? "";
  return { fields: { mood: isShown && asked.includes("is glad") ? "glad" : "sad" } };
}

type Context = { gateway: Gateway; model: ScriptedModel; url: string; programId: string };

/** Serial tests of one gateway and its learning model; each test has a program of its own. */
export function createMoodsTest(): TestFn<Context> {
  const test = anyTest.serial as TestFn<Context>;
  const file = shared(anyTest);
  let count = 0;
  test.before(async (t) => {
    const { gateway, model, env } = await startScripted(file, { SIGRUN_DATABASE_SCHEMA: "public" });
    t.context = { gateway, model, url: env.DATABASE_URL, programId: "" };
  });
  test.beforeEach(async ({ context }) => {
    context.model.answer(learning);
    context.programId = await createMoods(context.gateway, `Moods ${++count}`);
  });
  return test;
}

/** Waits until an optimization has ended, and returns its record. */
export function ended({ optimizations }: Gateway, id: string): Promise<Optimization> {
  return until(async () => {
    const { optimization } = await optimizations.getOptimization({ id });
    return optimization && optimization.status > OptimizationStatus.RUNNING ? optimization : undefined;
  });
}
