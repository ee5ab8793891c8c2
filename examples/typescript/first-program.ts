// Registers a program, runs it, and reads the record of the run.
// Usage: node_modules/.bin/node examples/typescript/first-program.ts [http://HOST:PORT]
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ExecutionService, ExecutionStatus } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { ProgramService } from "../../src/gen/sigrun/v1/program_service_pb.ts";

const transport = createGrpcTransport({ baseUrl: process.argv[2] ?? "http://127.0.0.1:8080" });
const programs = createClient(ProgramService, transport);
const executions = createClient(ExecutionService, transport);

// With the same requestId, a second run of this script gets the same program.
const { program } = await programs.createProgram({
  requestId: "6f0c6d5e-2b0f-4e53-9b7b-5b5d3f5a1c02",
  program: {
    name: "Sentiment by TypeScript",
    signature: {
      inputs: [{ name: "review" }],
      outputs: [{ name: "sentiment", type: 'Literal["positive", "negative"]' }],
    },
  },
});
console.log(`program   ${program?.handle}`);

const { outputs, execution } = await programs.executeProgram({
  programId: program?.handle ?? "",
  inputs: { review: "The battery died after two days." },
});
console.log(`answer    ${outputs?.sentiment}`);

const { execution: record } = await executions.getExecution({ id: execution?.id ?? "" });
const status = record?.status === ExecutionStatus.COMPLETED ? "completed" : record?.errorReason;
console.log(`on record ${status}, ${record?.tokenUsage?.totalTokens} tokens, ${record?.durationMs} ms`);
