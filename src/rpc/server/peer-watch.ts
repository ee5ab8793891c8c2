import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Boundary } from "./boundary.ts";

/** Pings the peer of an HTTP/2 connection, and closes the socket if a ping is not answered before the next one is due. */
export function watchPeer(
  session: ServerHttp2Session,
  socket: Socket,
  pingMs: number,
  boundary: Boundary,
): void {
  let isAnswered = true;
  const timer = boundary.every(socket, pingMs, () => {
    // Node destroys a session after GOAWAY but leaves its socket to the peer, and session.ping() throws from then on.
    if (session.destroyed || !isAnswered) {
      session.destroy();
      socket.destroy();
      return;
    }
    isAnswered = false;
    session.ping((error) => {
      // A session that is destroyed calls back with an error: that is no answer.
      if (!error) isAnswered = true;
    });
  });
  socket.once("close", () => clearInterval(timer));
}
