import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { Fault } from "../../domain/faults.ts";
import type { Hold } from "./budget.ts";
import type { CallMemory } from "./call-memory.ts";
import type { RequestBody } from "./drain.ts";
import { envelope, messageIn } from "./envelope.ts";
import { maxMessageBytes } from "./limits.ts";
import { readBody } from "./request-body.ts";
import { protocolOf } from "./request-protocol.ts";
import { acceptedEncodings, isKnownEncoding } from "./unpacking.ts";

export type ReadPlain = (
  request: UniversalServerRequest,
  connect: UniversalHandler,
  body: RequestBody,
  hold: Hold,
) => Promise<UniversalServerRequest>;

/**
 * Reads a request of one message within the limits of memory, which Connect has not. Connect gets
 * it whole and unpacked. The requests of a stream in both directions are left to Connect.
 */
export function createPlainRequests(memory: CallMemory): ReadPlain {
  return async (request, connect, body, hold) => {
    if (request.method === "GET") return readQuery(request, connect, hold);
    const header = new Headers(request.header);
    const { isEnveloped, encoding, acceptEncoding } = protocolOf(header.get("content-type") ?? "");
    const name = header.get(encoding) ?? "identity";
    if (!isKnownEncoding(name)) throw unknownEncoding(encoding, name);
    if (connect.method.methodKind === "bidi_streaming") return request;
    const contentLength = header.get("content-length") ?? undefined;
    const bytes = await readBody({ body, contentLength, isEnveloped, maxBytes: maxMessageBytes, hold });
    const unpack = (packed: Uint8Array) => memory.unpack(packed, name, maxMessageBytes, hold);
    header.delete("content-length");
    if (name === "identity") return { ...request, header, body: bodyOf(bytes) };
    header.delete(encoding);
    // Connect answers in the encoding of the request, unless the caller says what it accepts.
    if (!header.get(acceptEncoding)) header.set(acceptEncoding, name);
    if (!isEnveloped)
      return { ...request, header, body: bodyOf(bytes.length === 0 ? bytes : await unpack(bytes)) };
    const { message, isCompressed } = messageIn(bytes);
    if (!isCompressed) return { ...request, header, body: bodyOf(bytes) };
    return { ...request, header, body: bodyOf(envelope(await unpack(message))) };
  };

  /** Moves a message from the query to the body, so that it is unpacked within the limits too. */
  async function readQuery(
    request: UniversalServerRequest,
    { allowedMethods }: UniversalHandler,
    hold: Hold,
  ): Promise<UniversalServerRequest> {
    const query = new URL(request.url).searchParams;
    const type = query.get("encoding");
    const compression = query.get("compression") || "identity";
    if (!allowedMethods.includes("GET") || (type !== "json" && type !== "proto")) return request;
    if (!isKnownEncoding(compression)) throw unknownEncoding("compression", compression);
    const bytes = Buffer.from(query.get("message") ?? "", query.get("base64") === "1" ? "base64" : "utf8");
    hold.take(bytes.length);
    const message =
      compression === "identity" || bytes.length === 0
        ? bytes
        : await memory.unpack(bytes, compression, maxMessageBytes, hold);
    const header = new Headers(request.header);
    header.set("content-type", `application/${type}`);
    return { ...request, method: "POST", header, body: bodyOf(message) };
  }
}

export async function* bodyOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

/** UNSUPPORTED is UNIMPLEMENTED to callers. */
const unknownEncoding = (header: string, name: string) =>
  new Fault(
    "UNSUPPORTED",
    `unknown ${header} ${JSON.stringify(name.slice(0, 100))}; expected one of ${acceptedEncodings}, identity`,
  );
