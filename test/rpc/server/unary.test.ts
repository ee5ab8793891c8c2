import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { setImmediate as turn } from "node:timers/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import anyTest, { type TestFn } from "ava";
import { ProgramService } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import {
  CreateSignatureRequestSchema,
  CreateSignatureResponseSchema,
} from "../../../src/gen/sigrun/v1/signature_service_pb.ts";
import { shared, startScripted } from "../../_gateway.ts";

const test = anyTest as TestFn<{ session: ClientHttp2Session }>;
const file = shared(test);

test.before(async (t) => {
  const { gateway } = await startScripted(file);
  const session = connect(gateway.url);
  file.teardown(() => session.destroy());
  t.context = { session };
});

type Answer = { headers: IncomingHttpHeaders; trailers: IncomingHttpHeaders; body: Buffer };

const createSignature = "/sigrun.v1.SignatureService/CreateSignature";

/** Makes a call whose body is sent in these pieces, each in its own frame. */
async function call(
  session: ClientHttp2Session,
  pieces: Uint8Array[],
  headers: Record<string, string> = {},
): Promise<Answer> {
  const stream = session.request({
    ":method": "POST",
    ":path": createSignature,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  const parts: Buffer[] = [];
  let responseHeaders: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  stream.on("response", (response) => {
    responseHeaders = response;
  });
  stream.on("trailers", (sent) => {
    trailers = sent;
  });
  stream.on("data", (part: Buffer) => parts.push(part));
  const ended = new Promise((resolve, reject) => stream.on("error", reject).on("close", resolve));
  for (const piece of pieces) {
    stream.write(piece);
    await turn();
  }
  stream.end();
  await ended;
  return { headers: responseHeaders, trailers, body: Buffer.concat(parts) };
}

function envelope(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const request = (instructions: string, name: string) =>
  toBinary(
    CreateSignatureRequestSchema,
    create(CreateSignatureRequestSchema, {
      signature: { name, instructions, text: "a -> b" },
      validateOnly: true,
    }),
  );

const instructionsOf = (message: Uint8Array) =>
  fromBinary(CreateSignatureResponseSchema, message).signature?.instructions;

test("reads a message that arrives byte by byte", async (t) => {
  const bytes = envelope(request("slowly", "Slow"));
  const { headers, trailers, body } = await call(
    t.context.session,
    [...bytes].map((byte) => Uint8Array.of(byte)),
  );
  t.is(headers["content-type"], "application/grpc+proto");
  t.is(trailers["grpc-status"], "0");
  t.is(instructionsOf(body.subarray(5)), "slowly");
});

test("reads a compressed message, and compresses a long answer if the caller accepts gzip", async (t) => {
  const long = "a long text. ".repeat(500);
  const sent = envelope(gzipSync(request(long, "Long")), 1);
  const { headers, trailers, body } = await call(t.context.session, [sent], {
    "grpc-encoding": "gzip",
    "grpc-accept-encoding": "br, gzip",
  });
  t.is(trailers["grpc-status"], "0");
  t.is(headers["grpc-encoding"], "gzip");
  t.is(body[0], 1);
  t.is(instructionsOf(gunzipSync(body.subarray(5))), long);
  t.true(body.length < 500);

  const plain = await call(t.context.session, [sent], {
    "grpc-encoding": "gzip",
    "grpc-accept-encoding": "identity",
  });
  t.is(plain.headers["grpc-encoding"], undefined);
  t.is(plain.body[0], 0);
});

test("refuses a wrong envelope with a reason, and keeps the connection", async (t) => {
  const { session } = t.context;
  const good = envelope(request("", "Good"));
  const bomb = gzipSync(Buffer.alloc(50 * 2 ** 20));
  const cases: [string, Uint8Array[], string, RegExp, Record<string, string>?][] = [
    ["no message", [], "12", /UNSUPPORTED/],
    ["two messages", [good, good], "12", /UNSUPPORTED/],
    ["half a head", [good.subarray(0, 3)], "3", /REQUEST_INVALID/],
    ["half a message", [good.subarray(0, good.length - 1)], "3", /REQUEST_INVALID/],
    ["compressed without grpc-encoding", [envelope(gzipSync(good), 1)], "3", /REQUEST_INVALID/],
    [
      "a compressed flag without gzip",
      [envelope(good, 1)],
      "3",
      /REQUEST_INVALID/,
      { "grpc-encoding": "gzip" },
    ],
    ["a gzip bomb", [envelope(bomb, 1)], "8", /TOO_LARGE/, { "grpc-encoding": "gzip" }],
    ["an unknown encoding", [good], "12", /UNSUPPORTED/, { "grpc-encoding": "zip" }],
    ["an unreadable time-out", [good], "3", /REQUEST_INVALID/, { "grpc-timeout": "soon" }],
  ];
  for (const [name, pieces, status, reason, headers] of cases) {
    const { trailers } = await call(session, pieces, headers);
    t.is(trailers["grpc-status"], status, name);
    t.regex(
      Buffer.from(String(trailers["grpc-status-details-bin"]), "base64").toString("latin1"),
      reason,
      name,
    );
  }
  t.is((await call(session, [good])).trailers["grpc-status"], "0");
});

test("refuses a message of a gigabyte by its head, and the bytes already sent hold up no other call", async (t) => {
  const { session } = t.context;
  const head = Buffer.from([0, 0x40, 0, 0, 0]);
  for (let count = 0; count < 3; count++) {
    const { trailers } = await call(session, [head, Buffer.alloc(3 * 2 ** 20)]);
    t.is(trailers["grpc-status"], "8");
  }
  t.is((await call(session, [envelope(request("", "After"))])).trailers["grpc-status"], "0");
});

test("leaves unknown and streaming methods to Connect", async (t) => {
  const { session } = t.context;
  const unknown = await call(session, [envelope(Buffer.alloc(0))], {
    ":path": "/sigrun.v1.SignatureService/Nothing",
  });
  t.is(unknown.headers["grpc-status"], "12");
  const stream = await call(session, [envelope(Buffer.alloc(0))], {
    ":path": `/${ProgramService.typeName}/StreamProgram`,
  });
  t.is(stream.trailers["grpc-status"], "3");
});
