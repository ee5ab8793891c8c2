import type { Socket } from "node:net";
import type { Boundary } from "./boundary.ts";

/** The bytes that begin every HTTP/2 connection. */
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** A connection that has not sent enough bytes after this time is closed. */
const maxDetectMs = 10_000;

/** Tells HTTP/2 from HTTP/1.1 by the first bytes of a connection, and puts these bytes back. */
export function detectHttpVersion(
  socket: Socket,
  boundary: Boundary,
  onDetected: (isHttp2: boolean) => void,
): void {
  const timer = boundary.after(socket, maxDetectMs, () => socket.destroy());
  socket.once("close", () => clearTimeout(timer));
  let head = Buffer.alloc(0);
  const read = () => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
      head = Buffer.concat([head, chunk]);
    if (head.length === 0) return;
    const length = Math.min(head.length, preface.length);
    const isHttp2 = head.toString("latin1", 0, length) === preface.slice(0, length);
    if (isHttp2 && length < preface.length) return;
    clearTimeout(timer);
    socket.off("readable", read);
    socket.unshift(head);
    onDetected(isHttp2);
  };
  socket.on("readable", read);
}
