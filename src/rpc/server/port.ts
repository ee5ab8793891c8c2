import { EventEmitter, once } from "node:events";
import {
  createServer as createHttp1Server,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer, type Socket } from "node:net";
import type { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Logger } from "../../telemetry.ts";
import type { Boundary } from "./boundary.ts";
import { watchPeer } from "./peer-watch.ts";

/** Takes the requests and responses of both HTTP versions. */
export type NodeHandler = ReturnType<typeof connectNodeAdapter>;

export type Port = {
  /** Gives the port it listens on: a free one for 0. */
  listen(host: string, port: number): Promise<number>;
  /** Takes no new connection, lets what is under way end, and cuts what is left after the grace. */
  drain(graceMs: number): Promise<void>;
};

/** How an HTTP/2 connection begins. */
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const undecidedMs = 10_000;
const mostConnections = 10_000;
const usualPingMs = 30_000;
const lingerMs = 500;

/** Takes a stream of HTTP/2 before it is a request; false where it leaves it alone. */
export type StreamTaker = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;

type Deps = { handle: NodeHandler; take: StreamTaker; boundary: Boundary; log: Logger; pingMs?: number };

/** One cleartext port for HTTP/2 and HTTP/1.1, told apart by a connection's first bytes. */
export function createPort({ handle, take, boundary, log, pingMs = usualPingMs }: Deps): Port {
  const calls = new Set<object>();
  const changes = new EventEmitter();
  const count = (call: EventEmitter) => {
    const end = () => calls.delete(call) && changes.emit("call ended");
    calls.add(call);
    call.once("finish", end).once("close", end);
  };

  const serve = (...[request, response]: Parameters<NodeHandler>) => {
    boundary.contain(request);
    boundary.contain(response);
    (handle as RequestListener)(request as IncomingMessage, response as ServerResponse);
  };

  const http1 = createHttp1Server({ requestTimeout: 60_000, headersTimeout: 20_000, maxHeaderSize: 32_768 });
  http1.on("request", (request, response) => {
    count(response);
    serve(request, response);
  });
  // As if it listened: else its timeouts and closeIdleConnections() do nothing.
  http1.emit("listening");
  const settings = { maxConcurrentStreams: 1_000, maxHeaderListSize: 32_768, initialWindowSize: 1_048_576 };
  const http2 = createHttp2Server({ settings });
  // It never listens: it makes requests of streams, which have nothing of HTTP/1.1's otherwise.
  const requests = createHttp2Server(serve);
  http2.on("stream", (stream, headers, ...more) => {
    boundary.contain(stream);
    count(stream);
    if (!take(stream, headers)) requests.emit("stream", stream, headers, ...more);
  });
  http2.on("sessionError", () => {});
  const sessions = new Set<ServerHttp2Session>();
  const beginHttp2 = (socket: Socket) => {
    const begin = (session: ServerHttp2Session) => {
      boundary.contain(session);
      sessions.add(session);
      session.once("close", () => sessions.delete(session));
      watchPeer(session, socket, pingMs, boundary);
    };
    // The session itself gives no socket that may be destroyed.
    http2.once("session", begin).emit("connection", socket);
    http2.off("session", begin);
  };

  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  const server = createServer({ noDelay: true });
  server.on("connection", (socket) => {
    boundary.contain(socket);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    silent.add(socket);
    socket.once("close", () => silent.delete(socket));
    tellApart(socket, boundary, (isHttp2) => {
      silent.delete(socket);
      if (isHttp2) beginHttp2(socket);
      else http1.emit("connection", socket);
    });
  });
  for (const emitter of [server, http1, http2, requests]) boundary.contain(emitter);
  server.maxConnections = mostConnections;

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.off("error", reject);
          server.on("error", (err) => log.warn({ err }, "a connection could not be accepted"));
          const address = server.address();
          resolve(address !== null && typeof address === "object" ? address.port : port);
        });
      }),

    async drain(graceMs) {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const session of sessions) session.close();
      for (const socket of silent) socket.destroy();
      http1.closeIdleConnections();
      const patience = AbortSignal.timeout(graceMs);
      while (calls.size > 0 && !patience.aborted)
        await once(changes, "call ended", { signal: patience }).catch(() => {});
      // A peer that does not read its last answer must not hold us up: it has this long to.
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, lingerMs);
      await closed;
      clearTimeout(cut);
    },
  };
}

function tellApart(socket: Socket, boundary: Boundary, decide: (isHttp2: boolean) => void): void {
  const undecided = boundary.after(socket, undecidedMs, () => socket.destroy());
  socket.once("close", () => clearTimeout(undecided));
  let head = Buffer.alloc(0);
  const read = () => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
      head = Buffer.concat([head, chunk]);
    if (head.length === 0) return;
    const length = Math.min(head.length, preface.length);
    const isHttp2 = head.toString("latin1", 0, length) === preface.slice(0, length);
    if (isHttp2 && length < preface.length) return;
    clearTimeout(undecided);
    socket.off("readable", read);
    socket.unshift(head);
    decide(isHttp2);
  };
  socket.on("readable", read);
}
