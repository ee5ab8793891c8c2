import {
  type ConnectError,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { protocolOf } from "./request-protocol.ts";
import { acceptedEncodings } from "./unpacking.ts";

const refusal = createContextKey<ConnectError | undefined>(undefined);

/**
 * Connect's request gate: throws the error that `refuse` has set for this call. Connect writes it
 * in the caller's protocol, without reading the body.
 */
export function throwRefusal({ values }: HandlerContext): void {
  const error = values.get(refusal);
  if (error) throw error;
}

/**
 * Answers a call with an error, by Connect's own handler. The caller also learns which encodings
 * there are, in case it has used another one.
 */
export async function refuse(
  connect: UniversalHandler,
  request: UniversalServerRequest,
  error: ConnectError,
): Promise<UniversalServerResponse> {
  const contextValues = request.contextValues ?? createContextValues();
  contextValues.set(refusal, error);
  const response = await connect({ ...request, contextValues, body: emptyBody() });
  const header = new Headers(response.header);
  header.set(protocolOf(request.header.get("content-type") ?? "").acceptEncoding, acceptedEncodings);
  return { ...response, header };
}

async function* emptyBody(): AsyncIterable<Uint8Array> {}
