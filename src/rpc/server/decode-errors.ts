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
import { arrived, connectErrorOf, faultOf } from "../faults.ts";

const refusal = createContextKey<ConnectError | undefined>(undefined);

/** Connect's request gate: refuses a call that is to be refused, in the caller's own protocol and without reading its body. */
export function refuseAtTheGate({ values }: HandlerContext): void {
  const error = values.get(refusal);
  if (error) throw error;
}

/**
 * Explains what fails before an interceptor could: bytes that can't be decoded (Connect calls that INTERNAL), messages that are
 * too large, bad JSON. The call is then made once more to be refused at the gate, so that Connect writes the answer.
 */
export function explainEarly(handler: UniversalHandler, log: Logger): UniversalHandler {
  const explained = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
    clampTimeout(request.header);
    const contextValues: ContextValues = request.contextValues ?? createContextValues();
    const response = await handler({ ...request, contextValues });
    if (response.status === 415 || response.status === 405) return withAdvice(response);
    // A stream of requests goes through the interceptors before its first message is read.
    if (contextValues.get(arrived) || handler.method.methodKind.endsWith("bidi_streaming")) return response;
    const { error, response: whole } = await findError(response);
    if (!error) return whole;
    const rpc = `${handler.service.typeName}/${handler.method.name}`;
    contextValues.set(refusal, connectErrorOf(faultOf(error, rpc, log)));
    return handler({ ...request, contextValues, body: nothing() });
  };
  return Object.assign(explained, handler);
}

/** Connect sends these without a word, and they are what curl gets that was not told what it sends. */
function withAdvice(response: UniversalServerResponse): UniversalServerResponse {
  const advice =
    "send a POST with the header content-type: application/json, or what gRPC, gRPC-Web and Connect send\n";
  const header = new Headers(response.header);
  header.set("content-type", "text/plain; charset=utf-8");
  return { ...response, header, body: once(Buffer.from(advice)) };
}

async function* nothing(): AsyncIterable<Uint8Array> {}

/** The error that a response carries, wherever its protocol puts it; the response can still be sent as it was. */
async function findError(
  response: UniversalServerResponse,
): Promise<{ error: ConnectError | undefined; response: UniversalServerResponse }> {
  const parts: Uint8Array[] = [];
  for await (const part of response.body ?? []) parts.push(part);
  const bytes = Buffer.concat(parts);
  const whole = { ...response, body: once(bytes) };
  return { error: errorIn(response, bytes), response: whole };
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
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

/** A caller's deadline holds up to an hour; Connect would refuse a longer one, and Node's timers take one of 25 days for none. */
function clampTimeout(header: Headers): void {
  const connect = header.get("connect-timeout-ms");
  if (connect && Number(connect) > maxTimeoutMs) header.set("connect-timeout-ms", String(maxTimeoutMs));
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  const units: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000 };
  if (digits && Number(digits) * (units[unit ?? ""] ?? 0) > maxTimeoutMs) header.set("grpc-timeout", "1H");
}
