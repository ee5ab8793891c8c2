import { constants } from "node:http2";
import type { Boundary } from "./boundary.ts";
import type { Hold } from "./budget.ts";
import type { ConnectCall } from "./connect-calls.ts";
import { end, type RequestBody } from "./drain.ts";
import { maxUnreadMs, pieceBytes } from "./limits.ts";

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

const cut = (body: RequestBody) => end(body, constants.NGHTTP2_ENHANCE_YOUR_CALM);

/** All chunks of a body that ends by itself, as requests and the answers of unary methods do. */
export async function collected(chunks: Chunks): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of chunks) parts.push(part);
  return Buffer.concat(parts);
}

/** The chunks of a stream, each held while it is sent; a caller that leaves no memory is cut. */
export async function* heldChunks(chunks: Chunks, hold: Hold, body: RequestBody): AsyncIterable<Uint8Array> {
  let held = 0;
  for await (const chunk of chunks) {
    hold.give(held);
    held = chunk.length;
    if (!hold.take(held)) return cut(body);
    yield chunk;
  }
}

/**
 * The body of an answer in pieces, each sent when the caller has taken the one before. A caller
 * that takes none for a minute is cut, also if it is the last piece, or the trailers.
 */
export async function* inPieces(
  chunks: Chunks,
  { body, response }: Pick<ConnectCall, "body" | "response">,
  boundary: Boundary,
): AsyncIterable<Uint8Array> {
  const startTimer = () => boundary.after(body, maxUnreadMs, () => cut(body)).unref();
  for await (const chunk of chunks) {
    const timer = startTimer();
    try {
      for (let sent = 0; sent < chunk.length; sent += pieceBytes) {
        yield chunk.subarray(sent, sent + pieceBytes);
        timer.refresh();
      }
    } finally {
      clearTimeout(timer);
    }
  }
  const timer = startTimer();
  response.once("close", () => clearTimeout(timer));
}
