import type { IncomingMessage } from "node:http";
import { constants, type Http2ServerRequest, type ServerHttp2Stream } from "node:http2";
import type { Boundary } from "./boundary.ts";

/** The body of a request, as each server gives it. */
export type RequestBody = ServerHttp2Stream | Http2ServerRequest | IncomingMessage;

const maxDrainBytes = 64 * 2 ** 20;
const maxDrainMs = 5_000;
/** A peer that sends nothing for this time may wait for the answer. */
const maxIdleMs = 250;

/**
 * Receives and drops what is left of a request: most clients read an answer only when they have
 * sent all of it, and a connection that is closed before is an error to them. Resolves at its end,
 * or when the peer has sent enough or pauses; what comes later is dropped too.
 */
export function drain(body: RequestBody, boundary: Boundary): Promise<void> {
  if (body.readableEnded || body.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    let drained = 0;
    const late = boundary.after(body, maxDrainMs, stop);
    const idle = boundary.after(body, maxIdleMs, stop);
    function stop(): void {
      clearTimeout(late);
      clearTimeout(idle);
      body.off("data", count).off("end", stop).off("close", stop);
      resolve();
    }
    function count(chunk: Buffer): void {
      drained += chunk.length;
      if (drained > maxDrainBytes) stop();
      else idle.refresh();
    }
    body.on("data", count).once("end", stop).once("close", stop).resume();
  });
}

/** Drains a request that has been answered, and ends it if its peer does not. */
export async function drainAndEnd(body: RequestBody, boundary: Boundary): Promise<void> {
  if (body.readableEnded || body.destroyed) return;
  await drain(body, boundary);
  if (!body.readableEnded) end(body, constants.NGHTTP2_NO_ERROR);
}

/** Ends a call before its time: resets the stream, or closes the connection of HTTP/1.1. */
export function end(body: RequestBody, code: number): void {
  if ("stream" in body) body.stream.close(code);
  else if ("httpVersion" in body) body.socket.destroy();
  else body.close(code);
}

/** What a call shares with the other calls of its connection. */
export function connectionOf(body: RequestBody): object {
  if ("stream" in body) return body.stream.session ?? body;
  return ("httpVersion" in body ? body.socket : body.session) ?? body;
}
