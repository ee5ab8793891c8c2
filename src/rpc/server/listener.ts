import { setTimeout as sleep } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Logger } from "../../telemetry.ts";
import { callFault, connectErrorOf, explainFaults } from "../faults.ts";
import { createBoundary } from "./boundary.ts";
import { createCallMemory } from "./call-memory.ts";
import { createConnectCalls } from "./connect-calls.ts";
import { createConnectHandlers } from "./connect-handler.ts";
import { drain } from "./drain.ts";
import type { HealthReport } from "./health.ts";
import { checkHost } from "./host.ts";
import { decodeLargeBodies, takeDecoded } from "./large-body.ts";
import { maxMessageBytes, type PortLimits } from "./limits.ts";
import { answerUnknownPath } from "./not-found.ts";
import { createOpenCalls } from "./open-calls.ts";
import { allowOrigins } from "./origins.ts";
import { createPort, type NodeHandler, type Port } from "./port.ts";
import { reflectionRoutes } from "./reflection.ts";
import { throwRefusal } from "./refusal.ts";
import { createUnaryCalls } from "./unary.ts";
import { compressions } from "./unpacking.ts";

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
  const memory = createCallMemory(limits);
  const connectCalls = createConnectCalls(calls);
  const wrap = createConnectHandlers({ memory, boundary, log });
  const unary = createUnaryCalls({
    maxBytes: maxMessageBytes,
    explain: (error, rpc) => connectErrorOf(callFault(error, rpc, log)),
    calls,
    memory,
    boundary,
    log,
  });
  const router = createConnectRouter({
    interceptors: [explainFaults(log), connectCalls.interceptor, takeDecoded],
    requestGate: throwRefusal,
    readMaxBytes: maxMessageBytes,
    // An unknown field is a mistake of the caller, who gets an error.
    jsonOptions: { ignoreUnknownFields: false },
    acceptCompression: compressions,
  });
  // Connect gets all methods; unary.ts also keeps the unary ones, which it answers itself.
  unary.register(routes)(router);
  unary.register(health.routes)(router);
  reflectionRoutes(services)(router);
  const handlers = new Map<string, UniversalHandler>(
    router.handlers.map((handler) => [handler.requestPath, wrap(decodeLargeBodies(handler))]),
  );

  const handle: NodeHandler = (request, response) => {
    if (!checkHost(request, response) || !allowOrigins(request, response)) return;
    const handler = handlers.get((request.url ?? "").split("?", 1)[0] as string);
    if (!handler) return void drain(request, boundary).then(() => answerUnknownPath(request, response));
    connectCalls.open(handler.method, request, response);
    const values = connectCalls.contextValues(request);
    handler(universalRequestFromNodeRequest(request, response, undefined, values))
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch((err: unknown) => {
        const isOpen = "stream" in response ? response.stream?.destroyed === false : !response.destroyed;
        // A peer that left, or whose call was cut, takes no more of its answer.
        if (isOpen) log.error({ err, rpc: handler.requestPath }, "an answer could not be written");
        response.destroy();
      });
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
