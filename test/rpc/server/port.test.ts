import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type { Http2ServerRequest } from "node:http2";
import { connect, type Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import { readConfig } from "../../../src/config.ts";
import { createBoundary } from "../../../src/rpc/server/boundary.ts";
import { createPort, type NodeHandler } from "../../../src/rpc/server/port.ts";
import type { Logger } from "../../../src/telemetry.ts";
import { until } from "../../_wait.ts";

const answer: NodeHandler = (_request, response) => void response.end("answered");

/** A port that pings its peers often, with its open sockets and the errors that it logged. */
async function openPort(t: ExecutionContext, { handle = answer, pingMs = 50 } = {}) {
  const faults: Error[] = [];
  const log = { error: ({ err }: { err: Error }) => faults.push(err) } as unknown as Logger;
  const port = createPort({
    handle,
    tryAnswer: () => false,
    limits: readConfig({}),
    boundary: createBoundary(log),
    log,
    pingMs,
  });
  const number = await port.listen("127.0.0.1", 0);
  const sockets = new Set<Socket>();
  const accept = (message: unknown) => {
    const { socket } = message as { socket: Socket };
    if (socket.localPort !== number) return;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  subscribe("net.server.socket", accept);
  t.teardown(async () => {
    unsubscribe("net.server.socket", accept);
    await port.drain(1_000);
  });
  const get = async (path = "/") =>
    (await fetch(`http://127.0.0.1:${number}${path}`, { headers: { connection: "close" } })).text();
  return { number, sockets, faults, get };
}

const types = { headers: 1, settings: 4, ping: 6, goaway: 7 } as const;

function frame(type: keyof typeof types, { flags = 0, stream = 0, payload = Buffer.alloc(0) } = {}): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = types[type];
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const clientPreface = [Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame("settings")];
/** GET http://x/, from HPACK's static table. */
const get = frame("headers", {
  flags: 5,
  stream: 1,
  payload: Buffer.from([0x82, 0x86, 0x84, 0x41, 1, 0x78]),
});

/** A raw HTTP/2 peer that never closes its socket and never answers a ping. */
async function connectPeer(
  t: ExecutionContext,
  port: number,
  ...frames: Buffer[]
): Promise<{ received(): Buffer }> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  const received: Buffer[] = [];
  socket.on("data", (bytes) => received.push(bytes)).on("error", () => {});
  await once(socket, "connect");
  socket.write(Buffer.concat([...clientPreface, ...frames]));
  return { received: () => Buffer.concat(received) };
}

const hasPing = (bytes: Buffer) => bytes.includes(Buffer.from([0, 0, 8, types.ping, 0]));
const hasGoaway = (bytes: Buffer) => bytes.includes(Buffer.from([0, 0, 8, types.goaway, 0]));

test("closes the socket of a peer that never answers a ping, and serves others", async (t) => {
  const { number, sockets, get } = await openPort(t);
  const peer = await connectPeer(t, number);
  await until(() => hasPing(peer.received()));
  await until(() => sockets.size === 0);
  t.is(await get(), "answered");
});

test("closes the socket of a peer that sends GOAWAY and does not close it, and serves others", async (t) => {
  const { number, sockets, get } = await openPort(t);
  await connectPeer(t, number, frame("goaway", { payload: Buffer.alloc(8) }));
  await until(() => sockets.size === 1);
  await until(() => sockets.size === 0);
  t.is(await get(), "answered");
});

test("closes the socket of a peer that does not close it after our GOAWAY, and serves others", async (t) => {
  const served = await openPort(t, {
    handle: (request, response) => {
      response.end("answered");
      (request as Http2ServerRequest).stream?.session?.close();
    },
  });
  const peer = await connectPeer(t, served.number, get);
  await until(() => hasGoaway(peer.received()));
  await until(() => served.sockets.size === 0);
  t.is(await served.get(), "answered");
});

test("keeps the socket of an idle peer that answers pings", async (t) => {
  const { number, sockets } = await openPort(t, { pingMs: 500 });
  const socket = connect(number, "127.0.0.1");
  t.teardown(() => socket.destroy());
  let answered = 0;
  // On loopback frames arrive whole: SETTINGS first, then one ping at a time.
  socket.on("data", (bytes) => {
    const at = bytes.indexOf(Buffer.from([0, 0, 8, types.ping, 0]));
    if (at < 0) return;
    socket.write(frame("ping", { flags: 1, payload: bytes.subarray(at + 9, at + 17) }));
    answered += 1;
  });
  socket.write(Buffer.concat(clientPreface));
  await until(() => answered === 4);
  t.is(sockets.size, 1);
});

test("logs what a handler throws with its stack, and ends that connection alone", async (t) => {
  const { get, faults } = await openPort(t, {
    handle: (request, response) => {
      if (request.url === "/fault") throw new Error("a bug");
      response.end("answered");
    },
  });
  await t.throwsAsync(get("/fault"));
  t.regex(faults[0]?.stack ?? "", /a bug\n.*port\.test\.ts/);
  t.is(await get(), "answered");
});
