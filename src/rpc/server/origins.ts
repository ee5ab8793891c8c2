import { cors } from "@connectrpc/connect";
import type { NodeHandler } from "./port.ts";

const exposed = [...cors.exposedHeaders, "sigrun-execution-id", "retry-after"].join(", ");

/**
 * Allows pages of every origin, because no cookie or other credential of a browser is ever read.
 * Returns false if the request was a preflight, which is answered here.
 */
export function allowOrigins(...[request, response]: Parameters<NodeHandler>): boolean {
  if (request.headers.origin === undefined) return true;
  response.setHeader("access-control-allow-origin", "*");
  response.setHeader("access-control-expose-headers", exposed);
  if (request.method !== "OPTIONS") return true;
  response.setHeader("access-control-allow-methods", cors.allowedMethods.join(", "));
  response.setHeader(
    "access-control-allow-headers",
    request.headers["access-control-request-headers"] ?? "*",
  );
  response.setHeader("access-control-max-age", "7200");
  response.writeHead(204);
  response.end();
  return false;
}
