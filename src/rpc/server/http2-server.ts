import {
  constants,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Logger } from "../../telemetry.ts";
import type { Boundary } from "./boundary.ts";
import { createCancelLimit } from "./cancel-limit.ts";
import { maxHeaderBytes, maxHeaders, maxStreams, type PortLimits } from "./limits.ts";
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
  limits: PortLimits;
  boundary: Boundary;
  log: Logger;
  pingMs: number;
};

const { NGHTTP2_ENHANCE_YOUR_CALM } = constants;
/** Room of a connection beside its answers: headers of all its streams, and the library's own. */
const memoryBesideAnswers = 64 * 2 ** 20;

/**
 * If one of nghttp2's own limits is exceeded, Node says INTERNAL_ERROR, or ends the connection with
 * all its calls. They lie beyond the limits that this room enforces itself.
 */
const optionsOf = ({ maxCancels, answerMemory }: PortLimits) => ({
  settings: {
    maxConcurrentStreams: maxStreams,
    maxHeaderListSize: maxHeaderBytes,
    initialWindowSize: 1_048_576,
  },
  maxHeaderListPairs: maxHeaders,
  // In megabytes.
  maxSessionMemory: Math.ceil((answerMemory / 2 + memoryBesideAnswers) / 1_000_000),
  streamResetRate: 2 * maxCancels,
  streamResetBurst: 20 * maxCancels + 10_000,
});

/** Cleartext HTTP/2 on sockets that are handed in; this server itself never listens. */
export function createHttp2Server(deps: Deps): Http2Server {
  const { onStream, tryAnswer, onRequest, limits, boundary, log, pingMs } = deps;
  const sessions = new Set<ServerHttp2Session>();
  const streamServer = createServer(optionsOf(limits));
  // Makes requests of streams. A server with a request listener would make one of every stream.
  const requestServer = createServer(onRequest);
  streamServer.on("stream", (stream, headers, ...more) => {
    boundary.contain(stream);
    onStream(stream);
    if (!tryAnswer(stream, headers)) requestServer.emit("stream", stream, headers, ...more);
  });
  streamServer.on("sessionError", () => {});
  for (const emitter of [streamServer, requestServer]) boundary.contain(emitter);

  function endAbusive(session: ServerHttp2Session, socket: Socket): void {
    if (session.destroyed) return;
    log.warn(
      { peer: socket.remoteAddress },
      `a connection was closed: its peer cancelled more than ${limits.maxCancels} calls a second (SIGRUN_MAX_CANCELS)`,
    );
    // For undefined, Node takes its default, which overrides the code.
    session.destroy(null as never, NGHTTP2_ENHANCE_YOUR_CALM);
  }

  return {
    accept(socket) {
      const onSession = (session: ServerHttp2Session) => {
        boundary.contain(session);
        sessions.add(session);
        session.once("close", () => sessions.delete(session));
        const mayCancel = createCancelLimit(limits.maxCancels);
        function countCancel(this: ServerHttp2Stream): void {
          if ((this.rstCode !== 0 || this.aborted) && !mayCancel()) endAbusive(session, socket);
        }
        session.on("stream", (stream) => stream.once("close", countCancel));
        watchPeer(session, socket, pingMs, boundary);
      };
      // The socket comes from here, since session.socket is a proxy that may not be destroyed.
      streamServer.once("session", onSession).emit("connection", socket);
      streamServer.off("session", onSession);
    },
    close() {
      for (const session of sessions) session.close();
    },
  };
}
