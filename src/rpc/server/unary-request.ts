import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { type DescMessage, type DescMethodUnary, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { checkBounds } from "../bounds.ts";
import { decodeLarge, largeBytes } from "../decoding/decode.ts";
import type { Hold } from "./budget.ts";
import type { CallMemory } from "./call-memory.ts";
import { messageIn, unknownCompression } from "./envelope.ts";
import { readBody } from "./request-body.ts";

const contentTypes = new Set(["application/grpc", "application/grpc+proto"]);
const encodings = new Set([undefined, "identity", "gzip"]);

/** Whether the headers are those of usual gRPC clients. Connect answers all other calls. */
export const isUsual = (headers: IncomingHttpHeaders): boolean =>
  headers[":method"] === "POST" &&
  contentTypes.has(headers["content-type"] as string) &&
  encodings.has(headers["grpc-encoding"] as string | undefined) &&
  headers.origin === undefined &&
  headers.expect === undefined;

export const acceptsGzip = (headers: IncomingHttpHeaders): boolean =>
  /(^|,)\s*gzip\s*(,|$)/.test(
    (headers["grpc-accept-encoding"] as string | undefined) ??
      (headers["grpc-encoding"] as string | undefined) ??
      "",
  );

type Deps = { maxBytes: number; memory: CallMemory };

/** Reads the request of a unary gRPC call: its body, the message in it, and the fields. */
export type ReadUnary = (
  method: DescMethodUnary,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  hold: Hold,
) => Promise<MessageShape<DescMessage>>;

export function createUnaryRequests({ maxBytes, memory }: Deps): ReadUnary {
  return async ({ input }, stream, headers, hold) => {
    const contentLength = headers["content-length"];
    const body = await readBody({ body: stream, contentLength, isEnveloped: true, maxBytes, hold });
    const { message, isCompressed } = messageIn(body);
    if (isCompressed && headers["grpc-encoding"] !== "gzip") throw unknownCompression();
    const bytes = isCompressed ? await memory.unpack(message, "gzip", maxBytes, hold) : message;
    const request =
      bytes.length > largeBytes ? await decodeLarge(input, bytes, "binary") : decode(input, bytes);
    checkBounds(input, request);
    return request;
  };
}

function decode<Desc extends DescMessage>(type: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(type, bytes);
  } catch (error) {
    throw new ConnectError("the bytes cannot be decoded", Code.Internal, undefined, undefined, error);
  }
}
