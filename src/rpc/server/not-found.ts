import { Code } from "@connectrpc/connect";
import type { NodeHandler } from "./port.ts";

/** Answers what is no known RPC: a page of text at /, UNIMPLEMENTED to gRPC, 404 to the rest. */
export const answerOthers: NodeHandler = (request, response) => {
  const path = (request.url ?? "/").split("?", 1)[0] as string;
  if (request.headers["content-type"]?.startsWith("application/grpc")) {
    response.writeHead(200, {
      "content-type": request.headers["content-type"],
      "grpc-status": String(Code.Unimplemented),
      "grpc-message": encodeURIComponent(`there is no ${path.slice(1)} here; ask grpcurl list`),
    });
    response.end();
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
        message: `there is no ${path} here; GET / says what there is`,
      }),
    );
  }
};

const page = (
  host: string,
) => `sigrun serves DSPy programs over gRPC, gRPC-Web, Connect and JSON, all on this port.

What there is:      grpcurl -plaintext ${host} list
What it takes:      grpcurl -plaintext ${host} describe sigrun.v1.ProgramService
Whether it is well: grpcurl -plaintext ${host} grpc.health.v1.Health/Check
The same by curl:   curl -H 'content-type: application/json' -d '{}' http://${host}/sigrun.v1.ProgramService/ListPrograms
`;
