import type { Message } from "@bufbuild/protobuf";
import { createContextKey, type Interceptor } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { checkBounds } from "../bounds.ts";
import { decodeLarge, type Format, largeBytes } from "../decoding/decode.ts";
import { envelope } from "./envelope.ts";
import { collected } from "./held-answer.ts";
import { bodyOf } from "./plain-request.ts";
import { headBytes } from "./request-body.ts";
import { protocolOf } from "./request-protocol.ts";

type Decoded = { readonly message: Message } | { readonly error: unknown };

/** The large message of a call, decoded, or the error of decoding it. */
const decodedKey = createContextKey<Decoded | undefined>(undefined);

/**
 * Has Connect read an empty message in place of a large one, which `decoding/` reads. The
 * interceptor `takeDecoded` then puts the large one into the call. Bodies come from
 * `plain-request.ts`: whole and unpacked.
 */
export function decodeLargeBodies(connect: UniversalHandler): UniversalHandler {
  const { method } = connect;
  if (method.methodKind !== "unary" && method.methodKind !== "server_streaming") return connect;

  async function handle(request: UniversalServerRequest): ReturnType<UniversalHandler> {
    const { contextValues } = request;
    if (!contextValues || !isBytes(request.body)) return connect(request);
    const body = await collected(request.body);
    const contentType = request.header.get("content-type") ?? "";
    const { isEnveloped } = protocolOf(contentType);
    const isSmall = body.length <= largeBytes;
    // Connect tells what is wrong with a head.
    if (isSmall || (isEnveloped && (body[0] !== 0 || body.readUInt32BE(1) !== body.length - headBytes)))
      return connect({ ...request, body: bodyOf(body) });
    const format: Format = contentType.includes("json") ? "JSON" : "binary";
    try {
      const message = isEnveloped ? body.subarray(headBytes) : body;
      contextValues.set(decodedKey, { message: await decodeLarge(method.input, message, format) });
    } catch (error) {
      contextValues.set(decodedKey, { error });
    }
    const empty = Buffer.from(format === "JSON" ? "{}" : "");
    return connect({ ...request, body: bodyOf(isEnveloped ? envelope(empty) : empty) });
  }
  return Object.assign(handle, connect);
}

const isBytes = (body: UniversalServerRequest["body"]): body is AsyncIterable<Uint8Array> =>
  typeof body === "object" && body !== null && Symbol.asyncIterator in body;

/** Checks the bounds of each request, and gives a method the large one that Connect did not see. */
export const takeDecoded: Interceptor = (next) => (request) => {
  function take<T extends Message>(message: T): T {
    const decoded = request.contextValues.get(decodedKey);
    if (decoded && "error" in decoded) throw decoded.error;
    const taken = decoded ? (decoded.message as T) : message;
    checkBounds(request.method.input, taken);
    return taken;
  }
  async function* takeEach<T extends Message>(messages: AsyncIterable<T>): AsyncIterable<T> {
    for await (const message of messages) yield take(message);
  }
  return request.stream
    ? next({ ...request, message: takeEach(request.message) })
    : next({ ...request, message: take(request.message) });
};
