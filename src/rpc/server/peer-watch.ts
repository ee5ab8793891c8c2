import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Boundary } from "./boundary.ts";

/**
 * Pings the peer of an HTTP/2 connection; closes the socket if a ping is not answered before the
 * next one.
 */
export function watchPeer(
  session: ServerHttp2Session,
  socket: Socket,
  pingMs: number,
  boundary: Boundary,
): void {
  let isAnswered = true;
  const timer = boundary.every(socket, pingMs, () => {
    // After GOAWAY, Node destroys the session but leaves the socket open, and session.ping()
    // throws.
    if (session.destroyed || !isAnswered) {
      session.destroy();
      socket.destroy();
      return;
    }
    isAnswered = false;
    session.ping((error) => {
      // If the session is destroyed, Node calls back with an error, which is no answer.
      if (!error) isAnswered = true;
    });
  });
  socket.once("close", () => clearInterval(timer));
}
