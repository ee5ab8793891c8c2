import type { ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";

/** Head of a message: a byte of flags, and the length in four bytes. */
const headBytes = 5;
const compressedFlag = 1;
/** Smaller messages are not compressed; Connect has the same minimum. */
const minCompressedBytes = 1_024;

/**
 * Reads the one message of a unary call. Throws the same errors as Connect, so that they are
 * explained alike.
 */
export async function readMessage(
  stream: ServerHttp2Stream,
  maxBytes: number,
  isGzip: boolean,
): Promise<Uint8Array> {
  const body = await readBody(stream, maxBytes);
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
  const message = body.subarray(headBytes);
  if (((body[0] as number) & compressedFlag) === 0) return message;
  if (isGzip) return compressionGzip.decompress(message as Uint8Array<ArrayBuffer>, maxBytes);
  throw new ConnectError("received compressed envelope, but do not know how to decompress", Code.Internal);
}

/** Reads up to the end of the stream; rejects as soon as the message is known to be too large. */
function readBody(stream: ServerHttp2Stream, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let body: Buffer | undefined;
    const more: Buffer[] = [];
    let received = 0;
    const joined = () =>
      more.length === 0 ? (body ?? Buffer.alloc(0)) : Buffer.concat([body as Buffer, ...more.splice(0)]);
    const refuse = (bytes: number) => {
      // Unread bytes would hold up the other calls of the connection, by its flow-control window.
      stream.off("data", onData).resume();
      reject(
        new ConnectError(
          `message size ${bytes} is larger than configured readMaxBytes ${maxBytes}`,
          Code.ResourceExhausted,
        ),
      );
    };
    const onData = (chunk: Buffer) => {
      received += chunk.length;
      if (body === undefined) body = chunk;
      else more.push(chunk);
      if (body.length < headBytes) body = joined();
      if (body.length < headBytes) return;
      const length = body.readUInt32BE(1);
      if (length > maxBytes) refuse(length);
      else if (received > headBytes + maxBytes) refuse(received - headBytes);
    };
    stream.on("data", onData);
    const onClose = () => reject(new ConnectError("the call was cancelled", Code.Canceled));
    stream.once("close", onClose);
    stream.once("end", () => {
      stream.off("close", onClose);
      resolve(joined());
    });
  });
}

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
