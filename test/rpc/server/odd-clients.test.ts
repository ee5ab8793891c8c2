import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import test from "ava";
import { call, envelope, healthCheck, healthWatch, startListener } from "./_listener.ts";

const python = fileURLToPath(new URL("../../../sidecar/.venv/bin/python", import.meta.url));

/** Runs a program; resolves with what it printed. */
function run(program: string, ...args: string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
    child.on("close", () => resolve(printed));
    child.stdin.end();
  });
}

test("a body of 5 MB is RESOURCE_EXHAUSTED to Node's fetch, in Connect and gRPC-Web", async (t) => {
  const { url } = await startListener(t);
  const body = Buffer.alloc(5_000_000, "x");
  const headers = (type: string) => ({ "content-type": type });
  const connect = await fetch(`${url}${healthCheck}`, {
    method: "POST",
    headers: headers("application/json"),
    body,
  });
  t.is(connect.status, 429);
  t.regex(await connect.text(), /resource_exhausted.*maximum is 4194304.*ErrorInfo/s);
  const web = await fetch(`${url}${healthWatch}`, {
    method: "POST",
    headers: headers("application/grpc-web+proto"),
    body: envelope(body),
  });
  t.regex(await web.text(), /grpc-status: 8/);
  const stream = await fetch(`${url}${healthWatch}`, {
    method: "POST",
    headers: headers("application/connect+proto"),
    body: envelope(body),
  });
  t.regex(await stream.text(), /resource_exhausted/);
});

test("a body of 5 MB is RESOURCE_EXHAUSTED to Python's urllib and grpcio", async (t) => {
  if (!existsSync(python)) return t.pass("needs the sidecar's Python");
  const { port } = await startListener(t);
  const script = `
import grpc, urllib.error, urllib.request
body = b"x" * 5_000_000
for path in ("${healthCheck}", "/nothing"):
    request = urllib.request.Request("http://127.0.0.1:${port}" + path, body, {"content-type": "application/json"})
    try: urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error: print(error.code)
channel = grpc.insecure_channel("127.0.0.1:${port}")
same = lambda message: message
try: channel.unary_unary("${healthCheck}", same, same)(body, timeout=20)
except grpc.RpcError as error: print(error.code().name)
try: list(channel.unary_stream("${healthWatch}", same, same)(body, timeout=20))
except grpc.RpcError as error: print(error.code().name)
`;
  t.deepEqual((await run(python, "-c", script)).split(/\s+/), [
    "429",
    "404",
    "RESOURCE_EXHAUSTED",
    "RESOURCE_EXHAUSTED",
    "",
  ]);
});

test("a client that asks before it sends 5 MB is refused before it sends them", async (t) => {
  const { port } = await startListener(t);
  const socket = connect(port, "127.0.0.1");
  t.teardown(() => socket.destroy());
  const head = `POST ${healthCheck} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
  socket.write(`${head}content-length: 5000000\r\nexpect: 100-continue\r\n\r\n`);
  const first = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
  t.regex(first.toString(), /^HTTP\/1\.1 429 /);
});

test("an unknown encoding is UNIMPLEMENTED, with the encodings there are, in every protocol", async (t) => {
  const { url, open } = await startListener(t);
  const message = envelope(Buffer.alloc(0));
  const answer = await call(open(), healthCheck, message, { "grpc-encoding": "zip" });
  t.is(answer.status, "12");
  t.is(answer.headers["grpc-accept-encoding"], "gzip,br");
  t.regex(
    decodeURIComponent(String(answer.trailers["grpc-message"])),
    /unknown grpc-encoding "zip"; expected/,
  );
  const post = (type: string, headers: Record<string, string>, body: Uint8Array) =>
    fetch(`${url}${type === "application/json" ? healthCheck : healthWatch}`, {
      method: "POST",
      headers: { "content-type": type, ...headers },
      body: body as Uint8Array<ArrayBuffer>,
    });
  const unary = await post("application/json", { "content-encoding": "zip" }, Buffer.from("{}"));
  t.is(unary.status, 501);
  t.is(unary.headers.get("accept-encoding"), "gzip,br");
  const stream = await post("application/connect+json", { "connect-content-encoding": "zip" }, message);
  t.is(stream.headers.get("connect-accept-encoding"), "gzip,br");
  t.regex(await stream.text(), /unimplemented/);
  const web = await post("application/grpc-web", { "grpc-encoding": "zip" }, message);
  t.is(web.headers.get("grpc-accept-encoding"), "gzip,br");
  t.regex(await web.text(), /grpc-status: 12/);
});

test("a compressed request is read, and answered in its encoding, in every protocol", async (t) => {
  const { url, open } = await startListener(t);
  const json = (body: string) => gzipSync(Buffer.from(body));
  const post = (path: string, headers: Record<string, string>, body: Uint8Array) =>
    fetch(`${url}${path}`, { method: "POST", headers, body: body as Uint8Array<ArrayBuffer> });
  const unary = await post(
    healthCheck,
    { "content-type": "application/json", "content-encoding": "gzip" },
    json('{"service":""}'),
  );
  t.deepEqual(await unary.json(), { status: "SERVING" });
  const unknown = `{"service":"${"x".repeat(1_000)}"}`;
  const refused = await post(
    healthWatch,
    { "content-type": "application/connect+json", "connect-content-encoding": "gzip" },
    envelope(json(unknown), 1),
  );
  t.is(refused.headers.get("connect-content-encoding"), "gzip");
  const first = Buffer.from((await refused.body?.getReader().read())?.value ?? []);
  t.regex(first.subarray(5).toString(), /SERVICE_UNKNOWN/);
  const native = await call(open(), healthCheck, envelope(gzipSync(Buffer.alloc(0)), 1), {
    "content-type": "application/grpc+proto;x=y",
    "grpc-encoding": "gzip",
  });
  t.is(native.status, "0");
  t.is((native.body[0] === 1 ? gunzipSync(native.body.subarray(5)) : native.body.subarray(5)).length, 2);
});

test("content types with parameters are taken on every path, and a charset other than UTF-8 is not", async (t) => {
  const { url, open } = await startListener(t);
  const session = open();
  const empty = envelope(Buffer.alloc(0));
  const unknown = envelope(Buffer.from([10, 1, 120]));
  for (const type of [
    "application/grpc;x=y",
    "application/grpc+proto;x=y",
    "application/grpc+proto; charset=utf-8",
    "Application/gRPC+Proto",
  ]) {
    t.is((await call(session, healthCheck, empty, { "content-type": type })).status, "0", type);
    t.is((await call(session, healthCheck, unknown, { "content-type": type })).status, "5", type);
  }
  const post = (path: string, type: string, body: Uint8Array) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": type },
      body: body as Uint8Array<ArrayBuffer>,
    });
  for (const type of [
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8; version=1",
    'application/json; charset="utf-8"',
    "application/proto;x=y",
  ])
    t.is((await post(healthCheck, type, Buffer.from(/json/.test(type) ? "{}" : ""))).status, 200, type);
  const stream = await post(
    healthWatch,
    "application/connect+json; charset=utf-8; x=y",
    envelope(Buffer.from("{}")),
  );
  t.is(stream.status, 200);
  await stream.body?.cancel();
  const web = await post(healthCheck, "application/grpc-web+proto;x=y", empty);
  t.regex(await web.text(), /grpc-status: 0/);
  t.is((await post(healthCheck, "application/json; charset=latin1", Buffer.from("{}"))).status, 415);
});

test("a wrong method gets 405 with Allow, and a wrong path what its protocol says", async (t) => {
  const { url, open } = await startListener(t);
  for (const [path, method, allow] of [
    [healthCheck, "GET", "POST, OPTIONS"],
    [healthCheck, "PUT", "POST, OPTIONS"],
    ["/", "DELETE", "GET, HEAD, OPTIONS"],
  ] as const) {
    const answer = await fetch(`${url}${path}`, { method });
    t.is(answer.status, 405, path);
    t.is(answer.headers.get("allow"), allow);
    t.regex(await answer.text(), /unsupported HTTP method; expected/);
  }
  t.is((await call(open(), "/nothing")).status, "12");
  const post = (type: string) =>
    fetch(`${url}/nothing`, { method: "POST", headers: { "content-type": type }, body: "{}" });
  t.is((await post("application/grpc-web")).headers.get("grpc-status"), "12");
  for (const type of ["application/json", "application/connect+json"]) t.is((await post(type)).status, 404);
});

test("a request whose host fits into no URL gets 400", async (t) => {
  const { port, lines } = await startListener(t);
  const status = await new Promise((resolve) => {
    const headers = { host: "[", "content-type": "application/json" };
    httpRequest({ port, host: "127.0.0.1", path: healthCheck, method: "POST", headers }, (response) => {
      resolve(response.resume().statusCode);
    }).end("{}");
  });
  t.is(status, 400);
  t.deepEqual(lines, []);
});
