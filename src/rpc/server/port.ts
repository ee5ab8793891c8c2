import { EventEmitter, once } from "node:events";
import { createServer as createHttp1Server, type RequestListener } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer, type Socket } from "node:net";
import type { connectNodeAdapter } from "@connectrpc/connect-node";

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
const pingMs = 30_000;
const lingerMs = 500;

/** Takes a stream of HTTP/2 before it is a request; false where it leaves it alone. */
export type StreamTaker = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;

/** One cleartext port for HTTP/2 and HTTP/1.1, told apart by a connection's first bytes. */
export function createPort(handle: NodeHandler, take: StreamTaker): Port {
  const calls = new Set<object>();
  const changes = new EventEmitter();
  const count = (call: EventEmitter) => {
    const end = () => calls.delete(call) && changes.emit("call ended");
    calls.add(call);
    call.once("finish", end).once("close", end);
  };

  const http1 = createHttp1Server(
    { requestTimeout: 60_000, headersTimeout: 20_000, maxHeaderSize: 32_768 },
    (request, response) => {
      count(response);
      (handle as RequestListener)(request, response);
    },
  );
  // As if it listened: else its timeouts and closeIdleConnections() do nothing.
  http1.emit("listening");
  const settings = { maxConcurrentStreams: 1_000, maxHeaderListSize: 32_768, initialWindowSize: 1_048_576 };
  const http2 = createHttp2Server({ settings });
  // It never listens: it makes requests of streams, which have nothing of HTTP/1.1's otherwise.
  const requests = createHttp2Server(
    handle as (request: Http2ServerRequest, response: Http2ServerResponse) => void,
  );
  http2.on("stream", (stream, headers, ...more) => {
    count(stream);
    if (!take(stream, headers)) requests.emit("stream", stream, headers, ...more);
  });
  const sessions = new Set<ServerHttp2Session>();
  http2.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    watchPeer(session);
  });
  http2.on("sessionError", () => {});

  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    silent.add(socket);
    socket.once("close", () => silent.delete(socket));
    tellApart(socket, (isHttp2) => {
      silent.delete(socket);
      (isHttp2 ? http2 : http1).emit("connection", socket);
    });
  });
  server.maxConnections = mostConnections;

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.off("error", reject);
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

/** A peer that is gone without a word is noticed by its silence to a ping. */
function watchPeer(session: ServerHttp2Session): void {
  const timer = setInterval(() => {
    const silent = setTimeout(() => session.destroy(), pingMs);
    const sent = session.ping(() => clearTimeout(silent));
    if (!sent) clearTimeout(silent);
  }, pingMs);
  session.once("close", () => clearInterval(timer));
}

function tellApart(socket: Socket, decide: (isHttp2: boolean) => void): void {
  const undecided = setTimeout(() => socket.destroy(), undecidedMs);
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
