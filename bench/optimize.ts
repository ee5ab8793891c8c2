// npm run bench:optimize measures what an optimization takes besides its search: LabeledFewShot
// asks the model for the scores before and after, and for nothing else.
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { OptimizationService, OptimizationStatus } from "../src/gen/sigrun/v1/optimization_service_pb.ts";
import { ProgramService } from "../src/gen/sigrun/v1/program_service_pb.ts";
import { inputs } from "./asked.ts";
import { median } from "./measure.ts";
import { withRig } from "./rig.ts";
import { createProgram, type Gateway, startGateway } from "./sigrun.ts";

const rounds = 9;
const examples = 16;
const goalS = 0.8;
const dataset = Array.from({ length: 2 * examples }, (_, n) => ({
  inputs: { ...inputs, question: `What is the capital of country ${n}?` },
  outputs: { answer: "None", confidence: 0.5, sources: [] },
}));

type Times = { readonly startedS: number; readonly endedS: number };

/** Seconds from the call until the optimization runs, and until its caller sees its end. */
async function optimize({ transport }: Gateway, programId: string): Promise<Times> {
  const began = performance.now();
  const passed = () => (performance.now() - began) / 1_000;
  const { optimization } = await createClient(ProgramService, transport).optimizeProgram({
    programId,
    dataset: dataset.slice(examples),
    valset: dataset.slice(0, examples),
    optimizer: "LabeledFewShot",
    metrics: [{ name: "token_f1", field: "answer" }],
    keepWorse: true,
  });
  let startedS = 0;
  const steps = createClient(OptimizationService, transport).watchOptimization({
    id: optimization?.id ?? "",
  });
  for await (const { event } of steps) {
    if (event.case !== "optimization") continue;
    const { status, errorMessage } = event.value;
    if (status !== OptimizationStatus.PENDING) startedS ||= passed();
    if (status === OptimizationStatus.FAILED) throw new Error(errorMessage);
    if (status === OptimizationStatus.COMPLETED) return { startedS, endedS: passed() };
  }
  throw new Error("the watch ended before the optimization");
}

console.log(
  `${rounds} optimizations by LabeledFewShot, each scored twice on ${examples} examples, a model of 50 ms.`,
);
await withRig(async ({ scratch, model }) => {
  await model.delay(50);
  const gateway = await startGateway(model.url, join(scratch, "sigrun"));
  try {
    const programId = await createProgram(gateway, undefined);
    const times: Times[] = [];
    for (let round = 0; round < rounds; round++) times.push(await optimize(gateway, programId));
    const of = (time: keyof Times) => {
      const seconds = times.map((one) => one[time]);
      return `median ${median(seconds).toFixed(2)} s (${seconds.map((one) => one.toFixed(2)).join(" ")})`;
    };
    console.log(`begun:     ${of("startedS")}`);
    console.log(`completed: ${of("endedS")}`);
    const verdict = median(times.map(({ endedS }) => endedS)) <= goalS ? "met" : "not met";
    console.log(`goal: completed within ${goalS} s: ${verdict}`);
  } finally {
    await gateway.child.stop();
  }
});
