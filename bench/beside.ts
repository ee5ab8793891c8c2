// npm run bench:beside measures serving with and without an optimization on the same gateway, in
// interleaved rounds.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { OptimizationService, OptimizationStatus } from "../src/gen/sigrun/v1/optimization_service_pb.ts";
import { ProgramService } from "../src/gen/sigrun/v1/program_service_pb.ts";
import { inputs } from "./asked.ts";
import { type Measure, median } from "./measure.ts";
import { withRig } from "./rig.ts";
import { createProgram, type Gateway, runCalls, sigrunPart, startGateway } from "./sigrun.ts";

const rounds = 5;
const seconds = 8;
/** Few enough for two cores, because the bench measures whether a caller waits longer. */
const callers = 4;
const dataset = Array.from({ length: 64 }, (_, n) => ({
  inputs: { ...inputs, question: `What is the capital of country ${n}?` },
  outputs: { answer: "None", confidence: 0.5, sources: [] },
}));

/** Starts an optimization that outlasts a round; returns a function that ends it. */
async function optimize({ transport }: Gateway, programId: string): Promise<() => Promise<bigint>> {
  const optimizations = createClient(OptimizationService, transport);
  const { optimization } = await createClient(ProgramService, transport).optimizeProgram({
    programId,
    dataset,
    optimizer: "BootstrapFewShotWithRandomSearch",
    config: { num_candidate_programs: 100 },
    metrics: [{ name: "token_f1", field: "answer" }],
  });
  const id = optimization?.id ?? "";
  const state = async () => (await optimizations.getOptimization({ id })).optimization;
  while ((await state())?.progress?.phase !== "search") await sleep(50);
  return async () => {
    const last = await state();
    if (last?.status !== OptimizationStatus.RUNNING)
      throw new Error(`the optimization did not outlast the round: ${last?.errorMessage}`);
    await optimizations.cancelOptimization({ id });
    return last.progress?.lmCalls ?? 0n;
  };
}

console.log(
  `${rounds} rounds of ${seconds} s with and without an optimization, ${callers} callers, a model of 50 ms.`,
);
await withRig(async ({ scratch, model, measure }) => {
  await model.delay(50);
  const gateway = await startGateway(model.url, join(scratch, "sigrun"));
  try {
    const programId = await createProgram(gateway, undefined);
    const [call] = runCalls([gateway.target], programId);
    const served = { pids: [gateway.child.pid], calls: [call], partOf: sigrunPart, stop: gateway.child.stop };
    const measures = { alone: [] as Measure[], beside: [] as Measure[] };
    await measure(served, call, callers, { seconds });
    for (let round = 0; round < rounds; round++) {
      measures.alone.push(await measure(served, call, callers, { seconds }));
      const endOptimization = await optimize(gateway, programId);
      measures.beside.push(await measure(served, call, callers, { seconds }));
      console.log(
        `round ${round + 1}: the optimization made ${await endOptimization()} requests to the model`,
      );
    }
    const of = (situation: keyof typeof measures, amount: (measure: Measure) => number) =>
      median(measures[situation].map(amount));
    for (const [name, amount] of [
      ["executions/s", (one: Measure) => one.perSecond],
      ["p50 ms", (one: Measure) => one.p50Ms],
      ["p99 ms", (one: Measure) => one.p99Ms],
    ] as const) {
      const [alone, beside] = [of("alone", amount), of("beside", amount)];
      console.log(
        `${name.padEnd(14)}alone ${alone.toFixed(1).padStart(7)}   beside ${beside.toFixed(1).padStart(7)}   ${(beside / alone).toFixed(2)}x`,
      );
    }
    const failed = [...measures.alone, ...measures.beside].reduce((sum, { failed }) => sum + failed, 0);
    console.log(
      `${failed} executions failed; other processes kept ${of("beside", ({ cores }) => cores.others).toFixed(1)} cores busy`,
    );
  } finally {
    await gateway.child.stop();
  }
});
