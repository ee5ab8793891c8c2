import type { DescService } from "@bufbuild/protobuf";
import { type ConnectRouter, cors } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Logger } from "../../telemetry.ts";
import { connectErrorOf, explainFaults, faultOf } from "../faults.ts";
import { createBoundary } from "./boundary.ts";
import { explainEarly, refuseAtTheGate } from "./decode-errors.ts";
import type { HealthReport } from "./health.ts";
import { answerOthers } from "./not-found.ts";
import { createPort, type NodeHandler, type Port } from "./port.ts";
import { reflect } from "./reflection.ts";
import { createUnaryCalls } from "./unary.ts";

/** Of a message. */
const mostBytes = 4 * 2 ** 20;

type Served = {
  routes: (router: ConnectRouter) => void;
  services: readonly DescService[];
  health: HealthReport;
  log: Logger;
};

/** The door for callers: gRPC, gRPC-Web, Connect and JSON over HTTP/1.1 and 2, with health and reflection, on one port. */
export function createListener({ routes, services, health, log }: Served): Port {
  const boundary = createBoundary(log);
  const unary = createUnaryCalls({
    mostBytes,
    explain: (error, rpc) => connectErrorOf(faultOf(error, rpc, log)),
    boundary,
    log,
  });
  const adapter = connectNodeAdapter({
    routes(router) {
      unary.watch(routes)(router);
      unary.watch(health.routes)(router);
      reflect(services)(router);
      router.handlers.forEach((handler, index) => {
        router.handlers[index] = explainEarly(handler, log);
      });
    },
    interceptors: [explainFaults(log)],
    requestGate: refuseAtTheGate,
    readMaxBytes: mostBytes,
    // A field that nobody knows is a mistake of the caller's that it wants to hear of.
    jsonOptions: { ignoreUnknownFields: false },
    fallback: answerOthers,
  });
  const handle: NodeHandler = (request, response) => {
    if (allowOrigins(request, response)) adapter(request, response);
  };
  return createPort({ handle, take: unary.take, boundary, log });
}

const exposed = [...cors.exposedHeaders, "sigrun-execution-id"].join(", ");

/** Any page may call: no cookie and no other authority of the browser's is ever looked at. False where the answer was all that was asked. */
function allowOrigins(...[request, response]: Parameters<NodeHandler>): boolean {
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
