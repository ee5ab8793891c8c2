import { Code, ConnectError } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import { headBytes } from "./request-body.ts";

const compressedFlag = 1;
/** Smaller messages are not compressed; Connect has the same minimum. */
const minCompressedBytes = 1_024;

/** The one message in the body of a unary call, and whether it is compressed. */
export type Enveloped = { readonly message: Buffer; readonly isCompressed: boolean };

/** Throws the same errors as Connect, so that they are explained alike. */
export function messageIn(body: Buffer): Enveloped {
  if (body.length === 0)
    throw new ConnectError("protocol error: missing input message for unary method", Code.Unimplemented);
  const length = body.length < headBytes ? Number.POSITIVE_INFINITY : body.readUInt32BE(1);
  if (body.length < headBytes + length)
    throw new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
  if (body.length > headBytes + length)
    throw new ConnectError(
      "protocol error: received extra input message for unary method",
      Code.Unimplemented,
    );
  return {
    message: body.subarray(headBytes),
    isCompressed: ((body[0] as number) & compressedFlag) !== 0,
  };
}

/** For a compressed message in a call that names no encoding. */
export const unknownCompression = () =>
  new ConnectError("received compressed envelope, but do not know how to decompress", Code.Internal);

/** A message with its head. */
export function envelope(message: Uint8Array, flags = 0): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes + message.length);
  bytes[0] = flags;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, headBytes);
  return bytes;
}

/** A message with its head, compressed unless it is small. */
export async function gzipEnvelope(message: Uint8Array): Promise<Buffer> {
  if (message.length < minCompressedBytes) return envelope(message);
  return envelope(await compressionGzip.compress(message as Uint8Array<ArrayBuffer>), compressedFlag);
}
