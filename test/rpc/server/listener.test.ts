import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Code, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { credentials, Client as GrpcClient, type ServiceError, status } from "@grpc/grpc-js";
import anyTest, { type TestFn } from "ava";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../src/gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflectionRequestSchema,
  ServerReflection as V1,
} from "../../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1Alpha } from "../../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { ProgramService } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { SignatureService } from "../../../src/gen/sigrun/v1/signature_service_pb.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";

const test = anyTest as TestFn<Gateway>;
const file = shared(test);

test.before(async (t) => {
  t.context = (await startScripted(file)).gateway;
});

const transports: Record<string, (baseUrl: string) => Transport> = {
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect over HTTP/2": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }),
  "JSON over HTTP/1.1": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false, useHttpGet: true }),
};

for (const [name, transport] of Object.entries(transports)) {
  test(`${name} returns answers, and errors with details`, async (t) => {
    const signatures: Client<typeof SignatureService> = createClient(
      SignatureService,
      transport(t.context.url),
    );
    const { signature } = await signatures.createSignature({
      signature: { name: `By${name.replace(/\W/g, "")}`, text: "a -> b: float" },
    });
    t.is(
      (await signatures.getSignature({ key: { case: "id", value: signature?.id ?? "" } })).signature?.text,
      "a -> b: float",
    );

    const bad = await failure(t, signatures.createSignature({ signature: { text: "config -> b: Foo" } }));
    t.is(bad.code, Code.InvalidArgument);
    t.is(bad.reason, "SIGNATURE_INVALID");
    t.deepEqual(bad.paths, ["signature.text"]);
    const missing = await failure(t, signatures.getSignature({ key: { case: "name", value: "Nobody" } }));
    t.is(missing.code, Code.NotFound);
    t.is(missing.domain, "sigrun");
  });

  test(`${name} answers UNIMPLEMENTED to an unknown method`, async (t) => {
    const unknown = { ...ProgramService.method.deleteProgram, name: "LoseProgram" };
    const call = transport(t.context.url).unary(unknown, undefined, undefined, undefined, { id: "x" });
    t.is((await failure(t, call)).code, Code.Unimplemented);
  });
}

/** Posts raw bytes; returns status, headers and body as one text. */
async function post(
  url: string,
  contentType: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = httpRequest(
      url,
      { method: "POST", headers: { "content-type": contentType, ...headers } },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () =>
          resolve(`${response.statusCode} ${JSON.stringify(response.headers)} ${Buffer.concat(parts)}`),
        );
      },
    );
    call.on("error", reject).end(body);
  });
}

/** A message with its head: flags, and the length in four bytes. */
function envelope(message: Uint8Array, flags = 0): Uint8Array {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const getProgram = "/sigrun.v1.ProgramService/GetProgram";
const undecodable = Buffer.from([0x0a, 0xff, 0xff, 0xff]);

test("undecodable bytes are INVALID_ARGUMENT to a gRPC client", async (t) => {
  const client = new GrpcClient(t.context.url.replace("http://", ""), credentials.createInsecure());
  const error = await new Promise<ServiceError | null>((resolve) => {
    client.makeUnaryRequest(
      getProgram,
      (bytes: Buffer) => bytes,
      (bytes) => bytes,
      undecodable,
      (failed) => resolve(failed),
    );
  });
  client.close();
  t.is(error?.code, status.INVALID_ARGUMENT);
  t.regex(String(error?.metadata.get("grpc-status-details-bin")[0]), /REQUEST_INVALID/);
});

test("undecodable bytes are INVALID_ARGUMENT to gRPC-Web, Connect and JSON clients", async (t) => {
  const url = `${t.context.url}${getProgram}`;
  t.regex(await post(url, "application/grpc-web+proto", envelope(undecodable)), /grpc-status: 3/);
  t.regex(await post(url, "application/proto", undecodable), /^400 .*REQUEST_INVALID/s);
  t.regex(await post(url, "application/json", Buffer.from("{")), /^400 .*invalid_argument.*REQUEST_INVALID/s);
  t.regex(
    await post(url, "application/json", Buffer.from('{"idd": "x"}')),
    /^400 .*\\"idd\\" is unknown.*REQUEST_INVALID/s,
  );
  const stream = `${t.context.url}/sigrun.v1.ExecutionService/WatchExecutions`;
  t.regex(
    await post(stream, "application/connect+proto", envelope(undecodable)),
    /invalid_argument.*REQUEST_INVALID/s,
  );
});

test("a wrong content type or HTTP method is refused with the expected one", async (t) => {
  const refusal = /^415 .*expected content-type: application\/json/s;
  t.regex(
    await post(`${t.context.url}${getProgram}`, "application/x-www-form-urlencoded", Buffer.from("{}")),
    refusal,
  );
  t.regex(
    await (await fetch(`${t.context.url}/sigrun.v1.ProgramService/ExecuteProgram`)).text(),
    /expected POST/,
  );
});

test("a message over 4 MiB is RESOURCE_EXHAUSTED, even if it is small when compressed", async (t) => {
  const { signatures } = t.context;
  const error = await failure(
    t,
    signatures.createSignature({ signature: { instructions: "x".repeat(5 * 2 ** 20) } }),
  );
  t.is(error.code, Code.ResourceExhausted);
  t.is(error.reason, "TOO_LARGE");
  const bomb = await promisify(gzip)(Buffer.alloc(200 * 2 ** 20));
  t.regex(
    await post(`${t.context.url}${getProgram}`, "application/proto", bomb, { "content-encoding": "gzip" }),
    /resource_exhausted.*TOO_LARGE/s,
  );
});

test("of a thousand violations, a gRPC client gets as many as its trailers hold", async (t) => {
  const { programs } = t.context;
  const { program } = await programs.createProgram({
    program: { name: "Wide", signature: { text: "question -> answer" } },
  });
  const inputs = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`field number ${n}`, n]));
  const error = await failure(t, programs.executeProgram({ programId: program?.id ?? "", inputs }));
  t.is(error.code, Code.InvalidArgument);
  t.true(error.paths.length > 5);
  t.regex(error.message, /and \d+ more\)$/);
});

test("a deadline of ten years is accepted, and cut to the maximum", async (t) => {
  const body = Buffer.from('{"id": "nobody"}');
  const answer = await post(`${t.context.url}${getProgram}`, "application/json", body, {
    "connect-timeout-ms": "9999999999",
  });
  t.regex(answer, /not_found/);
});

test("a caller that leaves during reflection causes no error in the log", async (t) => {
  const { gateway } = await startScripted(t);
  const session = connect(gateway.url);
  const headers = {
    ":method": "POST",
    ":path": `/${V1.typeName}/ServerReflectionInfo`,
    "content-type": "application/grpc",
    te: "trailers",
  };
  const stream = session.request(headers).on("error", () => {});
  const ask = create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } });
  stream.write(envelope(toBinary(ServerReflectionRequestSchema, ask)));
  await once(stream, "data");
  session.destroy();
  // A gateway that stops has drained, so the call has ended.
  t.is(await gateway.stop(), 0);
  t.notRegex(gateway.log(), /unexpected error/);
});

test("health is SERVING for every service and NOT_FOUND for others, and can be watched", async (t) => {
  const health = createClient(Health, t.context.transport);
  const { statuses } = await health.list({});
  t.true(Object.keys(statuses).includes("sigrun.v1.ProgramService"));
  for (const [service, { status: serving }] of Object.entries(statuses))
    t.is(serving, Status.SERVING, service);
  t.is((await failure(t, health.check({ service: "nobody" }))).code, Code.NotFound);
  for await (const { status: serving } of health.watch({ service: "" })) {
    t.is(serving, Status.SERVING);
    break;
  }
});

test("reflection v1 and v1alpha list the services and return the files of every type, error details included", async (t) => {
  for (const Reflection of [V1, V1Alpha]) {
    const reflection = createClient(Reflection as typeof V1, t.context.transport);
    const ask = async function* () {
      yield create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } });
      yield create(ServerReflectionRequestSchema, {
        messageRequest: { case: "fileContainingSymbol", value: "sigrun.v1.ProgramService" },
      });
      yield create(ServerReflectionRequestSchema, {
        messageRequest: { case: "fileContainingSymbol", value: "google.rpc.BadRequest" },
      });
      yield create(ServerReflectionRequestSchema, {
        messageRequest: { case: "fileContainingSymbol", value: "no.such.Thing" },
      });
    };
    const answers = [];
    for await (const { messageResponse } of reflection.serverReflectionInfo(ask()))
      answers.push(messageResponse);
    const [services, program, details, nothing] = answers;
    t.true(
      services?.case === "listServicesResponse" &&
        services.value.service.some(({ name }) => name === "sigrun.v1.ProgramService"),
    );
    const files = [program, details].flatMap((answer) =>
      answer?.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto : [],
    );
    const protos = files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    const names = new Set(protos.map(({ name }) => name));
    for (const { dependency } of protos) for (const needed of dependency) t.true(names.has(needed), needed);
    t.true(names.has("google/rpc/error_details.proto"));
    t.is(nothing?.case, "errorResponse");
  }
});

test("a page in a browser may call, and GET / shows how to list the services", async (t) => {
  const preflight = await fetch(`${t.context.url}${getProgram}`, {
    method: "OPTIONS",
    headers: {
      origin: "https://example.com",
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    },
  });
  t.is(preflight.status, 204);
  t.is(preflight.headers.get("access-control-allow-origin"), "*");
  t.regex(await (await fetch(t.context.url)).text(), /grpcurl -plaintext 127\.0\.0\.1:\d+ list/);
  t.is((await fetch(`${t.context.url}/nothing`)).status, 404);
});
