// Optimizes a program and shows how it goes: node examples/optimize/optimize.ts [http://HOST:PORT]
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

const { program } = await programs.createProgram({
  program: {
    name: "Intent of a message",
    signature: {
      name: "MessageIntent",
      instructions: "Say what a customer's message to a shop is about.",
      text: 'message -> intent: Literal["delivery", "refund", "account", "praise"]',
    },
  },
});
const programId = program?.handle ?? "";
console.log(`program      ${programId}`);

const { optimization } = await programs.optimizeProgram({
  programId,
  dataset,
  optimizer: "BootstrapFewShotWithRandomSearch",
  config: { max_bootstrapped_demos: 4, max_labeled_demos: 8, num_candidate_programs: 3 },
  budget: { time: { seconds: 600n } },
});
console.log(`learning from ${optimization?.trainsetSize} examples, scored on ${optimization?.valsetSize} others`);

let done = optimization;
for await (const { event } of optimizations.watchOptimization({ id: optimization?.id ?? "" })) {
  if (event.case !== "optimization") continue;
  done = event.value;
  const { phase = "", message = "", fraction, bestScore, lmCalls = 0n } = done.progress ?? {};
  const part = fraction === undefined ? "    " : `${Math.round(fraction * 100)}%`.padStart(4);
  const best = bestScore === undefined ? "" : `, best so far ${bestScore.toFixed(2)}`;
  console.log(`${part}  ${phase.padEnd(10)} ${message}${best} (${lmCalls} calls)`);
}
if (done?.status !== OptimizationStatus.COMPLETED) throw new Error(`${done?.errorReason}: ${done?.errorMessage}`);

const percent = (score: number | undefined) => `${Math.round((score ?? 0) * 100)} %`;
console.log(
  `\nheld out      ${percent(done.baselineScore)} right before, ${percent(done.score)} after (${done.tokenUsage?.totalTokens} tokens)`,
);
if (done.revision === 0) throw new Error("it was not better, so there is no new revision");
await programs.deployProgram({ programId, revision: done.revision });
console.log(`deployed      revision ${done.revision}; DeployProgram with revision 1 goes back`);

const { outputs } = await programs.executeProgram({ programId, inputs: { message: "Where does my parcel stay so long?" } });
console.log(`a new one     "Where does my parcel stay so long?" -> ${outputs?.intent}`);
