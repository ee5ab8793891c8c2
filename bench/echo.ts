// npm run bench:echo measures the CPU of a ValidateInputs and a GetExecution in the gateway, and in
// a bare connect-node server with the same answers.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import {
  ExecutionService,
  GetExecutionRequestSchema,
  GetExecutionResponseSchema,
} from "../src/gen/sigrun/v1/execution_service_pb.ts";
import { ProgramService } from "../src/gen/sigrun/v1/program_service_pb.ts";
import {
  SignatureService,
  ValidateInputsRequestSchema,
  ValidateInputsResponseSchema,
} from "../src/gen/sigrun/v1/signature_service_pb.ts";
import { inputs } from "./asked.ts";
import { startChild } from "./child.ts";
import type { Served } from "./contender.ts";
import { root } from "./environments.ts";
import type { Call } from "./load.ts";
import { type Measure, median } from "./measure.ts";
import { withRig } from "./rig.ts";
import { createProgram, type Gateway, sigrunPart, startGateway } from "./sigrun.ts";

const rounds = 5;
const seconds = 4;
const callers = 50;
const maxRatio = 1.3;

console.log("This takes about 2 minutes.");

await withRig(async ({ scratch, model, measure }) => {
  const gateway = await startGateway(model.url, join(scratch, "sigrun"));
  try {
    const { calls, answers } = await callsOf(gateway);
    const files = answers.map((answer, index) => {
      const file = join(scratch, `answer-${index}`);
      writeFileSync(file, answer);
      return file;
    });
    const echo = startChild(process.execPath, [join(root, "bench/echo-server.ts"), ...files], {
      log: join(scratch, "echo.log"),
    });
    try {
      const target = (await echo.line(/^ready (.*)$/))[1] as string;
      const servers: [string, string, Served][] = [
        [
          "gateway",
          gateway.target,
          { pids: [gateway.child.pid], calls, partOf: sigrunPart, stop: gateway.child.stop },
        ],
        ["echo", target, { pids: [echo.pid], calls, partOf: () => "echo", stop: echo.stop }],
      ];
      for (const call of calls) {
        const cpu: Record<string, number[]> = { gateway: [], echo: [] };
        for (let round = 0; round <= rounds; round++)
          for (const [part, target, served] of servers) {
            const measured = await measure(served, { ...call, targets: [target] }, callers, { seconds });
            assertSound(measured);
            // The first round warms up both servers.
            if (round > 0) cpu[part]?.push(measured.cpuMs[part] as number);
          }
        const [own, bare] = [median(cpu.gateway as number[]), median(cpu.echo as number[])];
        const verdict = own / bare <= maxRatio ? "met" : "not met";
        console.log(
          `${call.label.padEnd(16)} gateway ${(own * 1000).toFixed(0)} us of CPU a call, bare echo ${(bare * 1000).toFixed(0)} us: ` +
            `${(own / bare).toFixed(2)}x (goal: at most ${maxRatio}x, ${verdict})`,
        );
      }
    } finally {
      await echo.stop();
    }
  } finally {
    await gateway.child.stop();
  }
});

function assertSound({ failed, failure }: Measure): void {
  if (failed > 0) throw new Error(`${failed} calls failed, the first with: ${failure}`);
}

/** Both calls, and the bytes of the gateway's answers. */
async function callsOf(gateway: Gateway): Promise<{ calls: Call[]; answers: Uint8Array[] }> {
  const { target, transport } = gateway;
  const programId = await createProgram(gateway, undefined);
  const run = await createClient(ProgramService, transport).executeProgram({ programId, inputs });
  const request = { key: { case: "programId", value: programId }, values: inputs } as const;
  const id = run.execution?.id as string;
  const validated = await createClient(SignatureService, transport).validateInputs(request);
  const got = await createClient(ExecutionService, transport).getExecution({ id });
  const call = (label: string, path: string, body: Uint8Array): Call => ({
    label,
    protocol: "grpc",
    targets: [target],
    path,
    body,
    // Both answers contain the inputs.
    expect: "France is a country",
  });
  return {
    calls: [
      call(
        "ValidateInputs",
        "/sigrun.v1.SignatureService/ValidateInputs",
        toBinary(ValidateInputsRequestSchema, create(ValidateInputsRequestSchema, request)),
      ),
      call(
        "GetExecution",
        "/sigrun.v1.ExecutionService/GetExecution",
        toBinary(GetExecutionRequestSchema, create(GetExecutionRequestSchema, { id })),
      ),
    ],
    answers: [toBinary(ValidateInputsResponseSchema, validated), toBinary(GetExecutionResponseSchema, got)],
  };
}
