import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import pLimit from "p-limit";
import type { Hold } from "./budget.ts";
import { requestsOverloaded } from "./overload.ts";

/** Unpacks a message. `hold` holds its packed bytes before, and its unpacked ones after. */
export type Unpack = (
  packed: Uint8Array,
  encoding: string,
  maxBytes: number,
  hold: Hold,
) => Promise<Uint8Array>;

/** Node's thread pool has four threads: more at once would hold memory and be no faster. */
const maxAtOnce = 4;
/** No gzip unpacks to more than this multiple of its size. */
const maxGzipRatio = 1_032;
/** Brotli's default, 11, takes seconds for an answer of 3 MB. */
const brotliQuality = 4;

const compress = promisify(brotliCompress);
const brotli: typeof compressionBrotli = {
  ...compressionBrotli,
  compress: (bytes) =>
    compress(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: brotliQuality } }) as ReturnType<
      typeof compressionBrotli.compress
    >,
};

/** The encodings of messages, in the form that Connect takes. */
export const compressions = [compressionGzip, brotli];
/** Their names, as servers list them in headers. */
export const acceptedEncodings = compressions.map(({ name }) => name).join(",");

export const isKnownEncoding = (encoding: string) =>
  encoding === "identity" || compressions.some(({ name }) => name === encoding);

/** Messages that come at once wait for their turn; what exceeds the memory is not unpacked. */
export function createUnpacking(): Unpack {
  const inTurn = pLimit(maxAtOnce);
  return (packed, encoding, maxBytes, hold) =>
    inTurn(async () => {
      const { decompress } = encoding === brotli.name ? brotli : compressionGzip;
      const most = encoding === brotli.name ? maxBytes : Math.min(maxBytes, packed.length * maxGzipRatio);
      if (!hold.take(most)) throw requestsOverloaded();
      let unpackedBytes = 0;
      try {
        const unpacked = await decompress(packed as Uint8Array<ArrayBuffer>, maxBytes);
        unpackedBytes = unpacked.length;
        return unpacked;
      } finally {
        hold.give(most - unpackedBytes + packed.length);
      }
    });
}
