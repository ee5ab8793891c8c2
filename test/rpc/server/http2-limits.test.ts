import { once } from "node:events";
import { type ClientHttp2Session, constants } from "node:http2";
import { connect } from "node:net";
import test from "ava";
import { ExecutionService } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import { until } from "../../_wait.ts";
import { call, healthCheck, openCall, startListener } from "./_listener.ts";

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM } = constants;

/** Begins calls and cancels each, as deadlines do that expire. */
async function cancelCalls(session: ClientHttp2Session, count: number): Promise<void> {
  for (let done = 0; done < count && !session.destroyed; done += 100) {
    const streams = Array.from({ length: 100 }, () => openCall(session, healthCheck));
    const closed = streams.map((stream) => new Promise((resolve) => stream.on("close", resolve)));
    // The headers must have been sent.
    await new Promise((resolve) => setImmediate(resolve));
    for (const stream of streams) stream.close(NGHTTP2_CANCEL);
    await Promise.all(closed);
  }
}

test("a connection on which 5,000 calls are cancelled is kept, with its other calls", async (t) => {
  const session = (await startListener(t)).open();
  await cancelCalls(session, 5_000);
  t.is((await call(session, healthCheck)).status, "0");
  t.false(session.destroyed);
});

test("a connection that cancels more than its maximum gets ENHANCE_YOUR_CALM, and others are served", async (t) => {
  const { open, lines } = await startListener(t, { limits: { maxCancels: 10 } });
  const [session, other] = [open(), open()];
  const goaway = new Promise<number>((resolve) => session.on("goaway", resolve));
  await cancelCalls(session, 300);
  t.is(await goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  await until(() => session.destroyed);
  t.is((await call(other, healthCheck)).status, "0");
  t.deepEqual(
    lines.map((line) => /more than 10 calls a second \(SIGRUN_MAX_CANCELS\)/.test(line)),
    [true],
  );
});

test("forty pages of 3 MB at once on one connection all arrive, and 300 small calls beside them", async (t) => {
  const page = { executions: [{ id: "x".repeat(3_000_000) }] };
  const { open } = await startListener(t, {
    routes: (router) => router.rpc(ExecutionService.method.listExecutions, async () => page as never),
  });
  const session = open();
  const list = "/sigrun.v1.ExecutionService/ListExecutions";
  const pages = Array.from({ length: 40 }, () => call(session, list));
  const small = Array.from({ length: 300 }, () => call(session, healthCheck));
  const statuses = (await Promise.all([...pages, ...small])).map(({ status }) => status);
  t.deepEqual(new Set(statuses), new Set(["0"]));
});

test("an idle HTTP/1.1 connection is kept for 75 s, longer than a proxy keeps it", async (t) => {
  const { url } = await startListener(t);
  t.is((await fetch(url)).headers.get("keep-alive"), "timeout=75");
});

test("a connection over the maximum is closed at once, and one line of the log says so", async (t) => {
  const { port, url, lines } = await startListener(t, { limits: { maxConnections: 2 } });
  const sockets = [1, 2].map(() => connect(port, "127.0.0.1"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  for (let count = 0; count < 3; count++) {
    const over = connect(port, "127.0.0.1").on("error", () => {});
    await once(over, "close");
  }
  t.deepEqual(
    lines.map((line) => /2 are open, the maximum \(SIGRUN_MAX_CONNECTIONS\)/.test(line)),
    [true],
  );
  for (const socket of sockets) socket.destroy();
  t.is((await until(() => fetch(url).catch(() => undefined))).status, 200);
});
