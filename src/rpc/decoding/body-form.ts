import type { Compression } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { Format } from "./decode.ts";

/** How the body of a request holds its one message. */
export type BodyForm = {
  readonly format: Format;
  /** Bytes before the message. */
  readonly headBytes: number;
  readonly compression: Compression | undefined;
  /** The message in a body, unpacked; undefined if the body is malformed. */
  messageIn(body: Buffer, maxBytes: number): Promise<Uint8Array | undefined>;
  /** A body with an empty message. */
  emptyBody(): Promise<Uint8Array>;
};

const compressions: Readonly<Record<string, Compression>> = { gzip: compressionGzip, br: compressionBrotli };
const contentType = /^application\/(connect\+|grpc-web\b\+?|grpc\b\+?)?(json|proto)?\s*(;|$)/i;
const compressedFlag = 1;
const headBytes = 5;

/** Reads the form from the headers; undefined if they name none that a call may have. */
export function formOf(header: Headers): BodyForm | undefined {
  const [match, protocol = "", name = "proto"] = contentType.exec(header.get("content-type") ?? "") ?? [];
  if (match === undefined) return undefined;
  const format = name.toLowerCase() === "json" ? "JSON" : "binary";
  const empty = Buffer.from(format === "JSON" ? "{}" : "");
  const isPlain = protocol === "";
  const isConnect = protocol.toLowerCase().startsWith("connect");
  const encoding = header.get(
    isPlain ? "content-encoding" : isConnect ? "connect-content-encoding" : "grpc-encoding",
  );
  const compression = encoding === null ? undefined : compressions[encoding];
  return isPlain
    ? {
        format,
        headBytes: 0,
        compression,
        messageIn: (body, maxBytes) => unpack(body, compression, maxBytes),
        emptyBody: async () => (compression ? compression.compress(empty as never) : empty),
      }
    : {
        format,
        headBytes,
        compression,
        async messageIn(body, maxBytes) {
          if (body.length < headBytes || body.readUInt32BE(1) !== body.length - headBytes) return undefined;
          const isCompressed = ((body[0] as number) & compressedFlag) !== 0;
          if (isCompressed && !compression) return undefined;
          return unpack(body.subarray(headBytes), isCompressed ? compression : undefined, maxBytes);
        },
        emptyBody: async () => Buffer.from([0, 0, 0, 0, empty.length, ...empty]),
      };
}

/** Undefined if the bytes can't be unpacked to at most the maximum, which Connect finds too. */
async function unpack(
  bytes: Uint8Array,
  compression: Compression | undefined,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  if (!compression) return bytes;
  try {
    return await compression.decompress(bytes as never, maxBytes);
  } catch {
    return undefined;
  }
}
