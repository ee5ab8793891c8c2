import type { ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";

/** Before each message: whether it is compressed, and how long it is. */
const headBytes = 5;
/** Below it compression costs more than it saves; Connect's own limit. */
const leastCompressed = 1_024;

/** The bytes of the one message that a unary call sends. What is wrong with them is thrown as Connect would, so that it means the same. */
export async function readMessage(
  stream: ServerHttp2Stream,
  mostBytes: number,
  isGzip: boolean,
): Promise<Uint8Array> {
  const body = await readBody(stream, mostBytes);
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
  if (((body[0] as number) & 1) === 0) return message;
  if (isGzip) return compressionGzip.decompress(message as Uint8Array<ArrayBuffer>, mostBytes);
  throw new ConnectError("received compressed envelope, but do not know how to decompress", Code.Internal);
}

/** Ends with the stream's end, and at once where the message will be too large. */
function readBody(stream: ServerHttp2Stream, mostBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let body: Buffer | undefined;
    const more: Buffer[] = [];
    let received = 0;
    const whole = () =>
      more.length === 0 ? (body ?? Buffer.alloc(0)) : Buffer.concat([body as Buffer, ...more.splice(0)]);
    const refuse = (bytes: number) => {
      // Read on, or what is on its way would hold up the other calls of the connection.
      stream.off("data", take).resume();
      reject(
        new ConnectError(
          `message size ${bytes} is larger than configured readMaxBytes ${mostBytes}`,
          Code.ResourceExhausted,
        ),
      );
    };
    const take = (chunk: Buffer) => {
      received += chunk.length;
      if (body === undefined) body = chunk;
      else more.push(chunk);
      // The head may come in pieces too.
      if (body.length < headBytes) body = whole();
      if (body.length < headBytes) return;
      const length = body.readUInt32BE(1);
      if (length > mostBytes) refuse(length);
      else if (received > headBytes + mostBytes) refuse(received - headBytes);
    };
    stream.on("data", take);
    const leave = () => reject(new ConnectError("the call was cancelled", Code.Canceled));
    stream.once("close", leave);
    stream.once("end", () => {
      stream.off("close", leave);
      resolve(whole());
    });
  });
}

/** A message as it is sent. */
export function enveloped(message: Uint8Array, flags = 0): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes + message.length);
  bytes[0] = flags;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, headBytes);
  return bytes;
}

/** The same compressed, where that is worth it. */
export async function gzipped(message: Uint8Array): Promise<Buffer> {
  if (message.length < leastCompressed) return enveloped(message);
  return enveloped(await compressionGzip.compress(message as Uint8Array<ArrayBuffer>), 1);
}
