// Registers a program, runs it, and reads its record: node_modules/.bin/node examples/typescript/first-program.ts [http://HOST:PORT]
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ExecutionService, ExecutionStatus } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { ProgramService } from "../../src/gen/sigrun/v1/program_service_pb.ts";

const transport = createGrpcTransport({ baseUrl: process.argv[2] ?? "http://127.0.0.1:8080" });
const programs = createClient(ProgramService, transport);
const executions = createClient(ExecutionService, transport);

// The requestId makes it safe to run this again: the same program comes back.
const { program } = await programs.createProgram({
  requestId: "6f0c6d5e-2b0f-4e53-9b7b-5b5d3f5a1c02",
  program: {
    name: "Capital by TypeScript",
    signature: {
      instructions: "Name the capital of the country.",
      inputs: [{ name: "country" }],
      outputs: [{ name: "capital", description: "its name alone" }],
    },
  },
});
console.log(`program   ${program?.handle}`);

const { outputs, execution } = await programs.executeProgram({
  programId: program?.handle ?? "",
  inputs: { country: "France" },
});
console.log(`answer    ${outputs?.capital}`);

const { execution: record } = await executions.getExecution({ id: execution?.id ?? "" });
console.log(
  `on record ${record?.status === ExecutionStatus.COMPLETED ? "completed" : record?.errorReason}, ${record?.tokenUsage?.totalTokens} tokens, ${record?.durationMs} ms`,
);
