import {
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Boundary } from "./boundary.ts";
import { watchPeer } from "./peer-watch.ts";

export type Http2Server = {
  /** Serves a connection that another server has accepted. */
  accept(socket: Socket): void;
  /** Sends GOAWAY on every connection: its streams may end, and no new stream begins. */
  close(): void;
};

type Deps = {
  /** Sees every stream before it is answered. */
  onStream(stream: ServerHttp2Stream): void;
  /** Answers a stream directly; false leaves it to `onRequest`. */
  tryAnswer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
  onRequest(request: Http2ServerRequest, response: Http2ServerResponse): void;
  boundary: Boundary;
  pingMs: number;
};

const settings = { maxConcurrentStreams: 1_000, maxHeaderListSize: 32_768, initialWindowSize: 1_048_576 };

/** Cleartext HTTP/2 on sockets that are handed in; this server itself never listens. */
export function createHttp2Server({ onStream, tryAnswer, onRequest, boundary, pingMs }: Deps): Http2Server {
  const sessions = new Set<ServerHttp2Session>();
  const streams = createServer({ settings });
  // Makes requests of streams. A server with a request listener would make one of every stream.
  const requests = createServer(onRequest);
  streams.on("stream", (stream, headers, ...more) => {
    boundary.contain(stream);
    onStream(stream);
    if (!tryAnswer(stream, headers)) requests.emit("stream", stream, headers, ...more);
  });
  streams.on("sessionError", () => {});
  for (const emitter of [streams, requests]) boundary.contain(emitter);

  return {
    accept(socket) {
      const onSession = (session: ServerHttp2Session) => {
        boundary.contain(session);
        sessions.add(session);
        session.once("close", () => sessions.delete(session));
        watchPeer(session, socket, pingMs, boundary);
      };
      // The socket comes from here, since session.socket is a proxy that may not be destroyed.
      streams.once("session", onSession).emit("connection", socket);
      streams.off("session", onSession);
    },
    close() {
      for (const session of sessions) session.close();
    },
  };
}
