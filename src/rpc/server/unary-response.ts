import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { Boundary } from "./boundary.ts";

/** A peer that still sends its request this long after the answer is told to stop. */
const maxSendMs = 1_000;

type Response = { headers: OutgoingHttpHeaders; message: Buffer | undefined; trailers: OutgoingHttpHeaders };

/** Sends the answer of a unary gRPC call and ends the stream. */
export function sendResponse(
  stream: ServerHttp2Stream,
  boundary: Boundary,
  { headers, message, trailers }: Response,
): void {
  stream.respond(headers, { waitForTrailers: true });
  stream.once("wantTrailers", () => {
    stream.sendTrailers(trailers);
    if (!stream.readableEnded) boundary.after(stream, maxSendMs, () => stream.close()).unref();
  });
  stream.end(message);
}

/** The trailers of the implementation, with the status of the call. */
export function trailersOf(own: Headers | undefined, error: ConnectError | undefined): OutgoingHttpHeaders {
  if (!own && !error) return { "grpc-status": "0" };
  return Object.fromEntries(setTrailerStatus(own ?? new Headers(), error));
}
