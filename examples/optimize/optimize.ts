// Optimizes a program and prints the progress.
// Usage: node_modules/.bin/node examples/optimize/optimize.ts [http://HOST:PORT]
import { readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { OptimizationService, OptimizationStatus } from "../../src/gen/sigrun/v1/optimization_service_pb.ts";
import { ProgramService } from "../../src/gen/sigrun/v1/program_service_pb.ts";

const transport = createGrpcTransport({ baseUrl: process.argv[2] ?? "http://127.0.0.1:8080" });
const programs = createClient(ProgramService, transport);
const optimizations = createClient(OptimizationService, transport);

type Row = { message: string; intent: string };
const rows = JSON.parse(readFileSync(new URL("messages.json", import.meta.url), "utf8")) as Row[];
const dataset = rows.map(({ message, intent }) => ({ inputs: { message }, outputs: { intent } }));

// Only the examples name the intents: without them the model cannot know which words are wanted.
const { program } = await programs.createProgram({
  requestId: "6f0c6d5e-2b0f-4e53-9b7b-5b5d3f5a1c04",
  program: {
    name: "Intent of a message",
    signature: {
      name: "MessageIntent",
      instructions: "Name what a customer's message to a shop is about, in one word.",
      text: "message -> intent",
    },
  },
});
const programId = program?.handle ?? "";
console.log(`program    ${programId}`);

// Without an optimizer in the request: BootstrapFewShot with DSPy's defaults, up to 4 bootstrapped
// demos and 16 in all. Without a metric: exact_match.
const { optimization } = await programs.optimizeProgram({
  programId,
  dataset,
  baseRevision: 1,
  keepWorse: false,
});
console.log(
  `learns from ${optimization?.trainsetSize} examples, is scored on ${optimization?.valsetSize} others\n`,
);

let done = optimization;
let last = "";
for await (const { event } of optimizations.watchOptimization({ id: optimization?.id ?? "" })) {
  if (event.case !== "optimization") continue;
  done = event.value;
  const { phase = "", message = "", fraction, lmCalls = 0n } = done.progress ?? {};
  const step = Math.floor((fraction ?? 0) * 10);
  if (`${phase} ${step}` === last) continue;
  last = `${phase} ${step}`;
  const part = fraction === undefined ? "" : `${Math.round(fraction * 100)} %`;
  console.log(
    `${part.padStart(6)}  ${phase.padEnd(9)}  ${message || (phase ? "" : "waiting for its turn")} (${lmCalls} calls)`,
  );
}
if (done?.status !== OptimizationStatus.COMPLETED)
  throw new Error(`${done?.errorReason}: ${done?.errorMessage}`);

const percent = (score: number | undefined) => `${Math.round((score ?? 0) * 100)} %`;
console.log(
  `\nscore      ${percent(done.baselineScore)} before, ${percent(done.score)} after (${done.tokenUsage?.totalTokens} tokens)`,
);
if (done.revision === 0) throw new Error("it was not better, so there is no new revision");
await programs.deployProgram({ programId, revision: done.revision });
console.log(`deployed   revision ${done.revision}; DeployProgram with revision 1 goes back`);

const { outputs } = await programs.executeProgram({
  programId,
  inputs: { message: "Where does my parcel stay so long?" },
});
console.log(`a new one  "Where does my parcel stay so long?" -> ${outputs?.intent}`);
