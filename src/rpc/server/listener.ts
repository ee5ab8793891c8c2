import { setTimeout as sleep } from "node:timers/promises";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type ConnectRouter, cors } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Logger } from "../../telemetry.ts";
import { decodeLargeBodies, takeDecoded } from "../decoding/request-body.ts";
import { callFault, connectErrorOf, explainFaults } from "../faults.ts";
import { createBoundary } from "./boundary.ts";
import { createConnectCalls } from "./connect-calls.ts";
import { explainDecodeErrors, throwRefusal } from "./decode-errors.ts";
import type { HealthReport } from "./health.ts";
import { maxMessageBytes, type PortLimits } from "./limits.ts";
import { answerUnknownPath } from "./not-found.ts";
import { createOpenCalls } from "./open-calls.ts";
import { createPort, type NodeHandler, type Port } from "./port.ts";
import { reflectionRoutes } from "./reflection.ts";
import { createUnaryCalls } from "./unary.ts";

/** Time that calls get for their answers after the drain has ended them. */
const maxLastAnswerMs = 500;

type Deps = {
  routes: (router: ConnectRouter) => void;
  services: readonly DescService[];
  health: HealthReport;
  limits: PortLimits;
  log: Logger;
};

/**
 * Serves gRPC, gRPC-Web, Connect and JSON over HTTP/1.1 and 2, with health and reflection, on one
 * port.
 */
export function createListener({ routes, services, health, limits, log }: Deps): Port {
  const boundary = createBoundary(log);
  const calls = createOpenCalls(boundary);
  const connectCalls = createConnectCalls(calls, boundary, log);
  const methods = new Map<string, DescMethod>();
  const unary = createUnaryCalls({
    maxBytes: maxMessageBytes,
    explain: (error, rpc) => connectErrorOf(callFault(error, rpc, log)),
    calls,
    boundary,
    log,
  });
  const adapter = connectNodeAdapter({
    routes(router) {
      // Connect gets all methods; unary.ts also keeps the unary ones, which it answers itself.
      unary.register(routes)(router);
      unary.register(health.routes)(router);
      reflectionRoutes(services)(router);
      router.handlers.forEach((handler, index) => {
        methods.set(handler.requestPath, handler.method);
        router.handlers[index] = connectCalls.refuseOverdue(
          explainDecodeErrors(decodeLargeBodies(handler, maxMessageBytes), log),
        );
      });
    },
    interceptors: [explainFaults(log), connectCalls.interceptor, takeDecoded],
    contextValues: connectCalls.contextValues,
    requestGate: throwRefusal,
    readMaxBytes: maxMessageBytes,
    // An unknown field is a mistake of the caller, who gets an error.
    jsonOptions: { ignoreUnknownFields: false },
    fallback: answerUnknownPath,
  });
  const handle: NodeHandler = (request, response) => {
    if (!allowOrigins(request, response)) return;
    const method = methods.get((request.url ?? "").split("?", 1)[0] as string);
    if (method) connectCalls.open(method, request, response);
    adapter(request, response);
  };
  const port = createPort({ handle, tryAnswer: unary.tryAnswer, limits, boundary, log });
  return {
    listen: port.listen,
    async drain(graceMs) {
      calls.endWatches();
      const drained = new AbortController();
      const ending = sleep(graceMs, undefined, { signal: drained.signal }).then(calls.endAll, () => {});
      await port.drain(graceMs + maxLastAnswerMs);
      drained.abort();
      await ending;
    },
  };
}

const exposed = [...cors.exposedHeaders, "sigrun-execution-id", "retry-after"].join(", ");

/**
 * Allows pages of every origin, because no cookie or other credential of a browser is ever read.
 * Returns false if the request was a preflight, which is answered here.
 */
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
