import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { ExecutionContext, TestFn } from "ava";
import { AdminService } from "../src/gen/sigrun/v1/admin_service_pb.ts";
import { CatalogService } from "../src/gen/sigrun/v1/catalog_service_pb.ts";
import { ExecutionService } from "../src/gen/sigrun/v1/execution_service_pb.ts";
import { OptimizationService } from "../src/gen/sigrun/v1/optimization_service_pb.ts";
import { ProgramService } from "../src/gen/sigrun/v1/program_service_pb.ts";
import { SignatureService } from "../src/gen/sigrun/v1/signature_service_pb.ts";
import { startEmbeddedPostgres } from "../src/store/postgres.ts";
import { createLogger } from "../src/telemetry.ts";
import { createDatabase } from "./_database.ts";
import { type ScriptedModel, startModel } from "./_model.ts";

export type Gateway = {
  readonly url: string;
  readonly process: ChildProcess;
  readonly transport: Transport;
  readonly signatures: Client<typeof SignatureService>;
  readonly programs: Client<typeof ProgramService>;
  readonly executions: Client<typeof ExecutionService>;
  readonly optimizations: Client<typeof OptimizationService>;
  readonly catalogue: Client<typeof CatalogService>;
  readonly admin: Client<typeof AdminService>;
  /** The log so far. */
  log(): string;
  /** Stops it as Ctrl-C does; resolves with the exit code. */
  stop(): Promise<number | null>;
};

/** Registers a clean-up: of one test, or by shared() of a whole file. */
export type Teardown = Pick<ExecutionContext, "teardown">;

/** Runs the clean-ups after the last test of a file, in reverse order. */
export function shared(test: Pick<TestFn, "after">): Teardown {
  const ends: (() => unknown)[] = [];
  test.after.always(async () => {
    for (const end of ends) await end();
  });
  return { teardown: (end) => void ends.unshift(end) };
}

/** Starts a PostgreSQL of a test's own; most tests do with a database of the shared one. */
export async function startPostgres(t: Teardown): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), "sigrun-test-"));
  const postgres = await startEmbeddedPostgres({ dataDir, log: createLogger("error") });
  t.teardown(async () => {
    await postgres.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  return postgres.url;
}

/**
 * Gives unary calls more than their default deadline, of 5 s for most: tests make dozens at once,
 * also on a busy machine.
 */
const patiently: Interceptor = (next) => (request) => {
  if (!request.stream && !request.header.has("grpc-timeout")) request.header.set("grpc-timeout", "60S");
  return next(request);
};

/** Starts a gateway as npm start does, on a free port; in a new schema unless env names one. */
export async function startGateway(t: Teardown, env: Record<string, string>): Promise<Gateway> {
  const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const child = spawn(process.execPath, [main], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      SIGRUN_PORT: "0",
      SIGRUN_DATABASE_SCHEMA: `test_${randomUUID().replaceAll("-", "")}`,
      SIGRUN_LOG_LEVEL: "info",
      ...env,
    },
    // If the test is killed, the end of this IPC channel stops the gateway.
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const exited = new Promise<number | null>((resolve) => {
    child.on("exit", resolve);
  });
  t.teardown(async () => {
    child.kill("SIGTERM");
    await exited;
    if (process.env.SIGRUN_TEST_LOG) process.stderr.write(log);
  });
  const ready = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout as Readable }).on("line", (line) => {
      const url = /^sigrun is ready on (.*)$/.exec(line)?.[1];
      if (url) resolve(url);
    });
  });
  const url = await Promise.race([
    ready,
    exited.then((code) => {
      throw new Error(`the gateway ended with ${code} before it was ready:\n${log}`);
    }),
  ]);
  const transport = createGrpcTransport({ baseUrl: url, interceptors: [patiently] });
  return {
    url,
    process: child,
    transport,
    signatures: createClient(SignatureService, transport),
    programs: createClient(ProgramService, transport),
    executions: createClient(ExecutionService, transport),
    optimizations: createClient(OptimizationService, transport),
    catalogue: createClient(CatalogService, transport),
    admin: createClient(AdminService, transport),
    log: () => log,
    stop: () => {
      child.kill("SIGINT");
      return exited;
    },
  };
}

/** A scripted model, and the settings of a gateway that uses it and a database of its own. */
export async function prepareScripted(t: Teardown) {
  const model = await startModel();
  t.teardown(model.close);
  const env = {
    DATABASE_URL: await createDatabase(),
    SIGRUN_LM: "openai/scripted",
    SIGRUN_LM_API_BASE: model.url,
    OPENAI_API_KEY: "test",
  };
  return { model, env };
}

/** Starts a gateway with a database of its own and a scripted model. */
export async function startScripted(t: Teardown, more: Record<string, string> = {}) {
  const { model, env } = await prepareScripted(t);
  return { model, env, gateway: await startGateway(t, { ...env, ...more }) };
}

/** Two gateways on one database with a scripted model; env starts a third. */
export type TwoGateways = {
  readonly one: Gateway;
  readonly two: Gateway;
  readonly model: ScriptedModel;
  readonly url: string;
  readonly schema: string;
  readonly env: Record<string, string>;
};

/** Starts two gateways, each a process of its own. */
export async function startTwo(t: Teardown): Promise<TwoGateways> {
  const schema = "two_gateways";
  const named = { SIGRUN_DATABASE_SCHEMA: schema };
  const { gateway: one, model, env } = await startScripted(t, named);
  const two = await startGateway(t, { ...env, ...named });
  return { one, two, model, url: env.DATABASE_URL, schema, env: { ...env, ...named } };
}
