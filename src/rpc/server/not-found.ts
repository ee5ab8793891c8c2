import { Code } from "@connectrpc/connect";
import type { NodeHandler } from "./port.ts";

/**
 * Answers requests for no known RPC: a page of text at /, UNIMPLEMENTED to gRPC, 404 to all others.
 */
export const answerUnknownPath: NodeHandler = (request, response) => {
  const path = (request.url ?? "/").split("?", 1)[0] as string;
  if (request.headers["content-type"]?.startsWith("application/grpc")) {
    response.writeHead(200, {
      "content-type": request.headers["content-type"],
      "grpc-status": String(Code.Unimplemented),
      "grpc-message": encodeURIComponent(`unknown RPC ${path.slice(1)}; "grpcurl list" shows the services`),
    });
    response.end();
  } else if (path === "/" && request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { "content-type": "text/plain; charset=utf-8", allow: "GET, HEAD, OPTIONS" });
    response.end("unsupported HTTP method; expected GET\n");
  } else if (path === "/") {
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
    response.end(
      page(request.headers.host ?? (request.headers[":authority"] as string | undefined) ?? "HOST:PORT"),
    );
  } else {
    response.writeHead(404, { "content-type": "application/json" });
    response.end(
      JSON.stringify({
        code: "unimplemented",
        message: `unknown path ${path}; expected /SERVICE/METHOD, and GET / shows how to list them`,
      }),
    );
  }
};

const page = (
  host: string,
) => `sigrun serves DSPy programs over gRPC, gRPC-Web, Connect and JSON, all on this port.

List the services:  grpcurl -plaintext ${host} list
Describe a service: grpcurl -plaintext ${host} describe sigrun.v1.ProgramService
Check the health:   grpcurl -plaintext ${host} grpc.health.v1.Health/Check
Call with curl:     curl -H 'content-type: application/json' -d '{}' http://${host}/sigrun.v1.ProgramService/ListPrograms
`;
