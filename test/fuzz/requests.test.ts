import { readFileSync } from "node:fs";
import { type DescMethod, toBinary, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import test from "ava";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { AdminService } from "../../src/gen/sigrun/v1/admin_service_pb.ts";
import { CatalogService } from "../../src/gen/sigrun/v1/catalog_service_pb.ts";
import { ExecutionService } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { OptimizationService } from "../../src/gen/sigrun/v1/optimization_service_pb.ts";
import { ProgramService } from "../../src/gen/sigrun/v1/program_service_pb.ts";
import { SignatureService } from "../../src/gen/sigrun/v1/signature_service_pb.ts";
import { runSql } from "../_database.ts";
import { createHostility, createRandom, hostileMessage } from "../_fuzz.ts";
import { startScripted } from "../_gateway.ts";

const services = [
  SignatureService,
  ProgramService,
  ExecutionService,
  OptimizationService,
  CatalogService,
  AdminService,
];
const requests = Number(process.env.SIGRUN_FUZZ_REQUESTS ?? 5_000);
const seed = Number(process.env.SIGRUN_FUZZ_SEED ?? 1);
const atATime = 16;
/** Its stream never ends by itself. */
const watching = ExecutionService.method.watchExecutions;

test(`${requests} hostile requests over every RPC and all four protocols cause no crash and no internal error`, async (t) => {
  t.timeout(300_000);
  const { gateway, model, env } = await startScripted(t, { SIGRUN_DATABASE_SCHEMA: "fuzz" });
  model.script({ fields: { answer: "here" } });
  const { program } = await gateway.programs.createProgram({
    program: { name: "Target", signature: { name: "Target", text: "question -> answer" } },
  });
  const { execution } = await gateway.programs.executeProgram({
    programId: "target",
    inputs: { question: "?" },
  });
  const known = [
    "target",
    "Target",
    program?.id ?? "",
    program?.signatureId ?? "",
    execution?.id ?? "",
    program?.etag ?? "",
  ];

  const random = createRandom(seed);
  const hostility = createHostility(random, known);
  const baseUrl = gateway.url;
  const transports: Record<string, Transport> = {
    gRPC: createGrpcTransport({ baseUrl }),
    "gRPC-Web": createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
    Connect: createConnectTransport({ baseUrl, httpVersion: "2" }),
    JSON: createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  };
  const methods = services.flatMap((service) => service.methods.map((method) => ({ service, method })));
  const tally: Record<string, number> = {};
  const wrong: string[] = [];

  function record(call: string, code: Code | undefined, reason: string, message: string): void {
    const key = code === undefined ? "OK" : (Code[code] ?? String(code));
    tally[key] = (tally[key] ?? 0) + 1;
    const isFromModel = code === Code.Internal && reason === "OUTPUT_INVALID";
    if ((code === Code.Internal || code === Code.Unknown || code === Code.Unavailable) && !isFromModel)
      wrong.push(`${call}: ${key} ${message.slice(0, 300)}`);
    if (code !== undefined && reason === "")
      wrong.push(`${call}: ${key} without a reason: ${message.slice(0, 300)}`);
  }

  /** Sends a request with the right types, by a client of one of the protocols. */
  async function send(
    service: (typeof services)[number],
    method: DescMethod,
    protocol: string,
  ): Promise<void> {
    const message = hostileMessage(method.input, random, hostility);
    const shown = `${protocol} ${method.name} ${describe(method, message)}`;
    // Some messages cannot be written, so that a client cannot send them.
    if (protocol === "JSON" ? describe(method, message) === undefined : !isWritable(method, message)) return;
    const client = createClient(service as never, transports[protocol] as Transport) as Record<
      string,
      (request: unknown, options: object) => unknown
    >;
    const leave = new AbortController();
    try {
      const answer = client[method.localName]?.(message, { timeoutMs: 20_000, signal: leave.signal });
      if (method.methodKind === "server_streaming") {
        for await (const _ of answer as AsyncIterable<unknown>) if (method === watching) break;
      } else await answer;
      leave.abort();
      record(shown, undefined, "", "");
    } catch (error) {
      const fault = ConnectError.from(error);
      record(shown, fault.code, fault.findDetails(ErrorInfoSchema)[0]?.reason ?? "", fault.rawMessage);
    }
  }

  /** Posts JSON or bytes that no client would write. */
  async function post(service: (typeof services)[number], method: DescMethod): Promise<void> {
    const url = `${baseUrl}/${service.typeName}/${method.name}`;
    const isUnary = method.methodKind === "unary";
    const isBytes = random.chance(0.4);
    const type = `application/${isUnary ? "" : "connect+"}${isBytes ? "proto" : "json"}`;
    const body = isBytes ? brokenBytes(method) : brokenJson(method);
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": type, "connect-timeout-ms": method === watching ? "300" : "20000" },
      body: isUnary ? body : enveloped(body),
    });
    const text = await response.text();
    const end = isUnary ? text : text.slice(text.lastIndexOf('{"error"'));
    const { code, error, message = "", details = [] } = isUnary && response.ok ? {} : parse(end);
    const named = error ?? { code, message, details };
    if (named.code === undefined) return record(`${type} ${method.name}`, undefined, "", "");
    const reason =
      (named.details ?? []).find(({ type }: { type: string }) => type === "google.rpc.ErrorInfo")?.debug
        ?.reason ?? "";
    record(
      `${type} ${method.name} ${body.toString().slice(0, 200)}`,
      codeOf(named.code),
      reason,
      named.message ?? "",
    );
  }

  function brokenBytes(method: DescMethod): Buffer {
    const message = hostileMessage(method.input, random, hostility);
    const bytes = Buffer.from(isWritable(method, message) ? toBinary(method.input, message) : [8, 1, 255]);
    for (let flips = random.below(6); flips > 0 && bytes.length > 0; flips--)
      bytes[random.below(bytes.length)] = random.below(256);
    return random.chance(0.2) ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
  }

  function brokenJson(method: DescMethod): Buffer {
    const fields = method.input.fields.map(({ jsonName }) => jsonName);
    const members = [...fields, "__proto__", hostility.text()]
      .filter(() => random.chance(0.5))
      .map((name) => `${JSON.stringify(name)}:${JSON.stringify(hostility.json(4))}`);
    const whole = `{${members.join(",")}}`;
    return Buffer.from(
      random.pick([
        whole,
        whole,
        whole,
        whole.slice(0, -1),
        "null",
        "[]",
        '"x"',
        "1",
        "NaN",
        '{"a":1,"a":2}',
        `${"[".repeat(5_000)}`,
        "\0",
        "",
      ]),
    );
  }

  let next = 0;
  async function worker(): Promise<void> {
    while (next < requests) {
      const turn = next++;
      const { service, method } = methods[turn % methods.length] as (typeof methods)[number];
      if (turn % 5 === 4) await post(service, method);
      else await send(service, method, Object.keys(transports)[turn % 4] as string);
    }
  }
  await Promise.all(Array.from({ length: atATime }, worker));

  t.log(`seed ${seed}:`, JSON.stringify(tally));
  t.deepEqual(wrong.slice(0, 10), []);
  t.is(gateway.process.exitCode, null);
  t.is((await createClient(Health, transports.gRPC as Transport).check({})).status, 1);
  t.false(
    gateway.log().includes("unexpected error"),
    gateway
      .log()
      .split("\n")
      .find((line) => line.includes("unexpected error")),
  );
  // Every run that was answered has ended on record too.
  const running = await runSql(
    env.DATABASE_URL,
    "fuzz",
    "SELECT status, count(*) FROM executions WHERE runner_id IS NOT NULL AND completed_at IS NULL GROUP BY status",
  );
  t.deepEqual(running, []);
  const rss =
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.process.pid}/status`, "utf8"))?.[1]) / 1024;
  t.log(`${Math.round(rss)} MiB`);
  t.true(rss < 700);
});

function describe(method: DescMethod, message: unknown): string | undefined {
  try {
    return JSON.stringify(toJson(method.input, message as never))?.slice(0, 300);
  } catch {
    return undefined;
  }
}

function isWritable(method: DescMethod, message: unknown): boolean {
  try {
    toBinary(method.input, message as never);
    return true;
  } catch {
    return false;
  }
}

function enveloped(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

// biome-ignore lint/suspicious/noExplicitAny: any JSON
function parse(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** The code of a name such as "invalid_argument". */
function codeOf(name: string): Code {
  const wanted = name.replaceAll("_", "");
  return Number(
    Object.entries(Code).find(([key]) => key.toLowerCase() === wanted)?.[1] ?? Code.Unknown,
  ) as Code;
}
