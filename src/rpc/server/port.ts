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
import { detectHttpVersion } from "./http-version.ts";
import { createHttp2Server } from "./http2-server.ts";

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

const maxConnections = 10_000;
const defaultPingMs = 30_000;
/** Time that a peer gets to read its last answer. */
const lastReadMs = 500;

type Deps = {
  handle: NodeHandler;
  /** Answers an HTTP/2 stream before it becomes a request; false leaves it to `handle`. */
  tryAnswer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
  boundary: Boundary;
  log: Logger;
  pingMs?: number;
};

/** One cleartext port for HTTP/2 and HTTP/1.1. */
export function createPort({ handle, tryAnswer, boundary, log, pingMs = defaultPingMs }: Deps): Port {
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
    (handle as RequestListener)(request as IncomingMessage, response as ServerResponse);
  };

  const http1 = createHttp1Server({ requestTimeout: 60_000, headersTimeout: 20_000, maxHeaderSize: 32_768 });
  http1.on("request", (request, response) => {
    countCall(response);
    onRequest(request, response);
  });
  // Without this event, Node's time-outs and closeIdleConnections() do nothing.
  http1.emit("listening");
  const http2 = createHttp2Server({ onStream: countCall, tryAnswer, onRequest, boundary, pingMs });

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
  server.maxConnections = maxConnections;

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
      const grace = AbortSignal.timeout(graceMs);
      while (calls.size > 0 && !grace.aborted) await once(callEnds, "end", { signal: grace }).catch(() => {});
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, lastReadMs);
      await closed;
      clearTimeout(cut);
    },
  };
}
