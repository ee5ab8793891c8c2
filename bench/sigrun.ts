import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AdminService } from "../src/gen/sigrun/v1/admin_service_pb.ts";
import { ExecuteProgramRequestSchema, ProgramService } from "../src/gen/sigrun/v1/program_service_pb.ts";
import { expected, inputs, signature } from "./asked.ts";
import { type Child, startChild } from "./child.ts";
import { type Contender, firstAnswer } from "./contender.ts";
import { completedExecutions, embeddedUrl } from "./database.ts";
import { root } from "./environments.ts";
import type { Call } from "./load.ts";
import type { PartOf } from "./processes.ts";

/** A gateway of this clone with its sidecar, and its PostgreSQL unless env names a database. */
export type Gateway = {
  readonly child: Child;
  /** host:port */
  readonly target: string;
  readonly transport: Transport;
  readonly databaseUrl: string;
};

const maxWorkersWaitMs = 20_000;

/** Starts a gateway on a free port, with its data in the scratch folder. */
export async function startGateway(
  model: string,
  scratch: string,
  env: Record<string, string> = {},
): Promise<Gateway> {
  mkdirSync(scratch, { recursive: true });
  const dataDir = join(scratch, "data");
  const child = startChild(process.execPath, [join(root, "src/main.ts")], {
    log: join(scratch, "gateway.log"),
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      SIGRUN_PORT: "0",
      SIGRUN_DATA_DIR: dataDir,
      SIGRUN_LM: "openai/bench",
      SIGRUN_LM_API_BASE: model,
      OPENAI_API_KEY: "none",
      SIGRUN_LOG_LEVEL: "warn",
      ...env,
    },
  });
  const [, target] = (await child.line(/^sigrun is ready on http:\/\/(.*)$/)) as unknown as [string, string];
  const databaseUrl = env.DATABASE_URL ?? embeddedUrl(dataDir);
  return { child, target, transport: createGrpcTransport({ baseUrl: `http://${target}` }), databaseUrl };
}

/** Registers the program, with the demos of a saved state if there is one; returns its id. */
export async function createProgram({ transport }: Gateway, state: string | undefined): Promise<string> {
  const programs = createClient(ProgramService, transport);
  const { program } = await programs.createProgram({
    program: { name: "Bench", signature: { text: signature } },
  });
  const programId = program?.id as string;
  if (state) await programs.importProgramState({ programId, compiledState: readFileSync(state, "utf8") });
  return programId;
}

/** The two ways to run the program on gateways: gRPC, and JSON over HTTP/1.1. */
export function runCalls(targets: string[], programId: string): [grpc: Call, json: Call] {
  const path = "/sigrun.v1.ProgramService/ExecuteProgram";
  const message = create(ExecuteProgramRequestSchema, { programId, inputs });
  const shared = { targets, path, expect: expected };
  return [
    {
      ...shared,
      label: "sigrun, gRPC",
      protocol: "grpc",
      body: toBinary(ExecuteProgramRequestSchema, message),
    },
    {
      ...shared,
      label: "sigrun, JSON",
      protocol: "http",
      body: Buffer.from(JSON.stringify({ program_id: programId, inputs })),
    },
  ];
}

/**
 * Waits until the sidecar reports the expected number of workers, for at most 20 s; returns the
 * number that it reports.
 */
export async function workersOf({ transport }: Gateway, expectedWorkers: number): Promise<number> {
  const admin = createClient(AdminService, transport);
  const deadline = Date.now() + maxWorkersWaitMs;
  for (;;) {
    const { sidecarWorkers } = await admin.getServerInfo({});
    if (sidecarWorkers >= expectedWorkers || Date.now() > deadline) return sidecarWorkers;
    await sleep(50);
  }
}

/** Parts of a gateway's process tree. */
export const sigrunPart: PartOf = (command) => {
  if (command.includes("dspy_sidecar")) return "sidecar";
  return command.includes("postgres") ? "PostgreSQL" : "gateway";
};

/** sigrun as npm start runs it, with a new embedded PostgreSQL. */
export const sigrun: Contender = {
  name: "sigrun",
  family: "sigrun",
  async start({ model, state, scratch }) {
    const gateway = await startGateway(model, scratch);
    const calls = runCalls([gateway.target], await createProgram(gateway, state));
    await firstAnswer(gateway.child, calls[1]);
    return {
      pids: [gateway.child.pid],
      calls,
      partOf: sigrunPart,
      recorded: () => completedExecutions(gateway.databaseUrl),
      stop: gateway.child.stop,
    };
  },
};
