import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { Boundary } from "./boundary.ts";
import { drainAndEnd } from "./drain.ts";
import { maxUnreadMs, pieceBytes } from "./limits.ts";

type Response = { headers: OutgoingHttpHeaders; message: Buffer | undefined; trailers: OutgoingHttpHeaders };

/**
 * Sends the answer of a unary gRPC call and ends the stream. A caller that takes no piece of it for
 * a minute is cut.
 */
export function sendResponse(
  stream: ServerHttp2Stream,
  boundary: Boundary,
  { headers, message, trailers }: Response,
): void {
  stream.respond(headers, { waitForTrailers: true });
  stream.once("wantTrailers", () => {
    stream.sendTrailers(trailers);
    drainAndEnd(stream, boundary);
  });
  const cut = () => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  const timer = boundary.after(stream, maxUnreadMs, cut).unref();
  stream.once("close", () => clearTimeout(timer));
  if (!message || message.length <= pieceBytes) {
    stream.end(message);
    return;
  }
  let sent = 0;
  const sendPiece = () => {
    timer.refresh();
    const piece = message.subarray(sent, sent + pieceBytes);
    sent += piece.length;
    if (sent < message.length) stream.write(piece, sendNext);
    else stream.end(piece);
  };
  const sendNext = (error?: Error | null) => {
    if (!error && !stream.destroyed && !stream.closed) sendPiece();
  };
  sendPiece();
}

/** The trailers of the implementation, with the status of the call. */
export function trailersOf(own: Headers | undefined, error: ConnectError | undefined): OutgoingHttpHeaders {
  if (!own && !error) return { "grpc-status": "0" };
  return Object.fromEntries(setTrailerStatus(own ?? new Headers(), error));
}
