import { setImmediate as nextTurn } from "node:timers/promises";
import type { DescMessage, JsonValue, Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Fault } from "../../domain/faults.ts";
import { scanJson } from "./json-scan.ts";
import { readLargeBinary } from "./large-binary.ts";
import { readLargeJson } from "./large-json.ts";

/** Smaller messages are protobuf-es's: the worst of them takes it 60 ms. */
export const largeBytes = 2 ** 16;

export type Format = "binary" | "JSON";

/**
 * Decodes a large message in a tenth of the time that protobuf-es takes, over several turns of the
 * event loop. Refuses a message with too many values before they are made.
 */
export async function decodeLarge(type: DescMessage, bytes: Uint8Array, format: Format): Promise<Message> {
  try {
    if (format === "binary") return readLargeBinary(type, bytes);
    scanJson(type, bytes);
    await nextTurn();
    const json = JSON.parse(new TextDecoder().decode(bytes)) as JsonValue;
    await nextTurn();
    return readLargeJson(type, json);
  } catch (error) {
    if (error instanceof Fault) throw error;
    // Connect has the same codes for what protobuf-es throws.
    const [why, code] =
      format === "binary"
        ? ["the bytes cannot be decoded", Code.Internal]
        : [error instanceof Error ? error.message : String(error), Code.InvalidArgument];
    throw new ConnectError(why, code, undefined, undefined, error);
  }
}
