import { EventEmitter, once } from "node:events";
import {
  createServer as createHttp1Server,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { createServer, type Socket } from "node:net";
import type { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Logger } from "../../telemetry.ts";
import type { Boundary } from "./boundary.ts";
import { drainAndEnd } from "./drain.ts";
import { createDropLog } from "./drop-log.ts";
import { detectHttpVersion } from "./http-version.ts";
import { createHttp2Server } from "./http2-server.ts";
import { maxHeaderBytes, maxHeaders, maxMessageBytes, type PortLimits } from "./limits.ts";

/** Answers the requests of both HTTP versions. */
export type NodeHandler = ReturnType<typeof connectNodeAdapter>;

export type Port = {
  /** Returns the number of the port; for 0, that of a free one. */
  listen(host: string, port: number): Promise<number>;
  /**
   * Accepts no new connection, lets calls in flight end, and cuts what is left after the grace
   * period.
   */
  drain(graceMs: number): Promise<void>;
};

/**
 * Beyond the 60 s for which proxies keep idle connections: else they send a request on one that is
 * being closed, and their caller gets an error.
 */
const keepAliveTimeout = 75_000;
/** Times for the headers of a request, and for all of it; an idle connection is held to neither. */
const headersTimeout = 20_000;
const requestTimeout = 60_000;
const connectionsCheckingInterval = 5_000;
const defaultPingMs = 30_000;
/** Time that a peer gets to read its last answer. */
const lastReadMs = 500;

type Deps = {
  handle: NodeHandler;
  /** Answers an HTTP/2 stream before it becomes a request; false leaves it to `handle`. */
  tryAnswer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
  limits: PortLimits;
  boundary: Boundary;
  log: Logger;
  pingMs?: number;
};

/** One cleartext port for HTTP/2 and HTTP/1.1. */
export function createPort(deps: Deps): Port {
  const { handle, tryAnswer, limits, boundary, log, pingMs = defaultPingMs } = deps;
  const calls = new Set<object>();
  const callEnds = new EventEmitter();
  const countCall = (call: EventEmitter) => {
    const end = () => calls.delete(call) && callEnds.emit("end");
    calls.add(call);
    call.once("finish", end).once("close", end);
  };
  const onRequest = (...[request, response]: Parameters<NodeHandler>) => {
    boundary.contain(request);
    boundary.contain(response);
    // HTTP/2 says "finish" only at the end of the stream, which waits for the end of the request.
    const [answer, sent] = "stream" in response ? [response.stream, "wantTrailers"] : [response, "finish"];
    answer.once(sent, () => drainAndEnd(request, boundary));
    (handle as RequestListener)(request as IncomingMessage, response as ServerResponse);
  };

  const http1 = createHttp1Server({
    keepAliveTimeout,
    headersTimeout,
    requestTimeout,
    connectionsCheckingInterval,
    maxHeaderSize: maxHeaderBytes,
  });
  // One more, so that too many are noticed: Node drops what exceeds its maximum.
  http1.maxHeadersCount = maxHeaders + 1;
  const onHttp1Request: RequestListener = (request, response) => {
    countCall(response);
    if (request.rawHeaders.length <= 2 * maxHeaders) return onRequest(request, response);
    response.writeHead(431, { connection: "close", "content-type": "text/plain; charset=utf-8" });
    response.end(`too many headers; the maximum is ${maxHeaders}\n`);
  };
  http1.on("request", onHttp1Request);
  // curl asks before it sends a long body. Without a word of ours, Node would ask for the body.
  http1.on("checkContinue", (request, response) => {
    if (Number(request.headers["content-length"]) > maxMessageBytes) response.shouldKeepAlive = false;
    else response.writeContinue();
    onHttp1Request(request, response);
  });
  // Without this event, Node's time-outs and closeIdleConnections() do nothing.
  http1.emit("listening");
  const http2 = createHttp2Server({
    onStream: countCall,
    tryAnswer,
    onRequest,
    limits,
    boundary,
    log,
    pingMs,
  });

  const sockets = new Set<Socket>();
  /** Sockets whose HTTP version is not known yet. */
  const undetected = new Set<Socket>();
  const server = createServer({ noDelay: true });
  server.on("connection", (socket) => {
    boundary.contain(socket);
    sockets.add(socket);
    undetected.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      undetected.delete(socket);
    });
    socket.on("error", () => socket.destroy());
    detectHttpVersion(socket, boundary, (isHttp2) => {
      undetected.delete(socket);
      if (isHttp2) http2.accept(socket);
      else http1.emit("connection", socket);
    });
  });
  for (const emitter of [server, http1]) boundary.contain(emitter);
  server.maxConnections = limits.maxConnections;
  server.on("drop", createDropLog(limits.maxConnections, log));

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
      http2.close();
      for (const socket of undetected) socket.destroy();
      http1.closeIdleConnections();
      // AbortSignal refuses fractions of a millisecond.
      const grace = AbortSignal.timeout(Math.ceil(graceMs));
      while (calls.size > 0 && !grace.aborted) await once(callEnds, "end", { signal: grace }).catch(() => {});
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, lastReadMs);
      await closed;
      clearTimeout(cut);
    },
  };
}
