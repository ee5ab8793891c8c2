import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import type { Boundary } from "./boundary.ts";
import { drain, type RequestBody } from "./drain.ts";
import { bodyOf } from "./plain-request.ts";

/**
 * Whether Connect has no answer in the caller's protocol: the HTTP method, the content type or the
 * HTTP version does not fit the RPC.
 */
export function isUnexpected(
  { method, header, httpVersion }: UniversalServerRequest,
  connect: UniversalHandler,
): boolean {
  if (!connect.allowedMethods.includes(method)) return true;
  if (method !== "GET" && !connect.supportedContentType(header.get("content-type") ?? "")) return true;
  return connect.method.methodKind === "bidi_streaming" && httpVersion.startsWith("1.");
}

/**
 * Adds to Connect's 405, 415 and 505 what would be right. curl gets 415 if it sets no content type.
 */
export async function answerUnexpected(
  request: UniversalServerRequest,
  connect: UniversalHandler,
  body: RequestBody,
  boundary: Boundary,
): Promise<UniversalServerResponse> {
  await drain(body, boundary);
  const response = await connect(request);
  const header = new Headers(response.header);
  header.set("content-type", "text/plain; charset=utf-8");
  const allowed = [...new Set(connect.allowedMethods)];
  if (response.status === 405) header.set("allow", [...allowed, "OPTIONS"].join(", "));
  const messages: Record<number, string> = {
    405: `unsupported HTTP method; expected ${allowed.join(" or ")}`,
    415: "unsupported content type; expected content-type: application/json, or one of gRPC, gRPC-Web or Connect",
    505: "unsupported HTTP version; this method streams in both directions, which needs HTTP/2",
  };
  const message = messages[response.status];
  return message === undefined
    ? response
    : { ...response, header, body: bodyOf(Buffer.from(`${message}\n`)) };
}
