import {
  Code,
  ConnectError,
  type ContextValues,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { endStreamFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import type { Logger } from "../../telemetry.ts";
import { maxTimeoutMs } from "../caller.ts";
import { arrived, callFault, connectErrorOf } from "../faults.ts";

const refusal = createContextKey<ConnectError | undefined>(undefined);

/**
 * Connect's request gate: throws the error that `explainDecodeErrors` has set for this call.
 * Connect writes it in the caller's protocol, without reading the body.
 */
export function throwRefusal({ values }: HandlerContext): void {
  const error = values.get(refusal);
  if (error) throw error;
}

/** Answers a call with an error, in the caller's protocol and without reading the body. */
export function refuse(
  handler: UniversalHandler,
  request: UniversalServerRequest,
  error: ConnectError,
): Promise<UniversalServerResponse> {
  const contextValues = request.contextValues ?? createContextValues();
  contextValues.set(refusal, error);
  return handler({ ...request, contextValues, body: emptyBody() });
}

/**
 * Gives code and details to errors that occur before the interceptors run: bytes that cannot be
 * decoded (INTERNAL by Connect), messages that are too large, malformed JSON. The call is then made
 * a second time and refused at the gate, so that Connect writes the answer.
 */
export function explainDecodeErrors(handler: UniversalHandler, log: Logger): UniversalHandler {
  const handleExplained = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
    clampTimeout(request.header);
    const contextValues: ContextValues = request.contextValues ?? createContextValues();
    const response = await handler({ ...request, contextValues });
    if (response.status === 415 || response.status === 405) return withExpected(response);
    // The interceptors run before the first message of a stream of requests is read.
    if (contextValues.get(arrived) || handler.method.methodKind.endsWith("bidi_streaming")) return response;
    const { error, response: unread } = await findError(response);
    if (!error) return unread;
    const rpc = `${handler.service.typeName}/${handler.method.name}`;
    return refuse(handler, { ...request, contextValues }, connectErrorOf(callFault(error, rpc, log)));
  };
  return Object.assign(handleExplained, handler);
}

/** Connect sends 405 and 415 without a body. curl gets 415 if it sets no content type. */
function withExpected(response: UniversalServerResponse): UniversalServerResponse {
  const message =
    response.status === 405
      ? "unsupported HTTP method; expected POST\n"
      : "unsupported content type; expected content-type: application/json, or one of gRPC, gRPC-Web or Connect\n";
  const header = new Headers(response.header);
  header.set("content-type", "text/plain; charset=utf-8");
  return { ...response, header, body: bodyOf(Buffer.from(message)) };
}

async function* emptyBody(): AsyncIterable<Uint8Array> {}

/**
 * Finds the error in a response, at the place of its protocol. Returns a response that can still be
 * sent.
 */
async function findError(
  response: UniversalServerResponse,
): Promise<{ error: ConnectError | undefined; response: UniversalServerResponse }> {
  const parts: Uint8Array[] = [];
  for await (const part of response.body ?? []) parts.push(part);
  const bytes = Buffer.concat(parts);
  return { error: errorIn(response, bytes), response: { ...response, body: bodyOf(bytes) } };
}

async function* bodyOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

function errorIn(
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

/**
 * Cuts a caller's deadline to one hour: Connect refuses longer ones, and Node's timers cannot hold
 * 25 days.
 */
function clampTimeout(header: Headers): void {
  const connect = header.get("connect-timeout-ms");
  if (connect && Number(connect) > maxTimeoutMs) header.set("connect-timeout-ms", String(maxTimeoutMs));
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  const units: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000 };
  if (digits && Number(digits) * (units[unit ?? ""] ?? 0) > maxTimeoutMs) header.set("grpc-timeout", "1H");
}
