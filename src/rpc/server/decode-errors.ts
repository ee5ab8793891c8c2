import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { endStreamFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";

/**
 * The error that Connect has put into an answer before the interceptors ran, such as bytes that
 * cannot be decoded (INTERNAL by Connect) or malformed JSON; it lacks our code and details.
 */
export function errorIn(
  { status, header, trailer }: UniversalServerResponse,
  bytes: Buffer,
): ConnectError | undefined {
  const type = header?.get("content-type") ?? "";
  if (type.startsWith("application/grpc-web")) return findTrailerError(trailerParse(bytes.subarray(5)));
  if (type.startsWith("application/grpc")) return trailer && findTrailerError(trailer);
  if (type.startsWith("application/connect+")) return endStreamFromJson(bytes.subarray(5)).error;
  if (status === 200 || !type.startsWith("application/json")) return undefined;
  return errorFromJsonBytes(bytes, undefined, new ConnectError("unreadable", Code.Unknown));
}
