import { constants } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import {
  type ContextValues,
  createContextKey,
  createContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { Logger } from "../../telemetry.ts";
import { callFault, connectErrorOf } from "../faults.ts";
import type { Boundary } from "./boundary.ts";
import { refuse } from "./decode-errors.ts";
import type { OpenCalls } from "./open-calls.ts";
import { createOverdue, type Overdue } from "./overdue.ts";
import type { NodeHandler } from "./port.ts";

type NodeRequest = Parameters<NodeHandler>[0];
type NodeResponse = Parameters<NodeHandler>[1];

/** The calls that Connect answers. Each ends at its deadline, whatever is silent. */
export type ConnectCalls = {
  /** Opens the call of a request whose headers have arrived. */
  open(method: DescMethod, request: NodeRequest, response: NodeResponse): void;
  /** Connect's option: hands the open call to the handler and the interceptor. */
  contextValues(request: NodeRequest): ContextValues;
  /** Refuses an overdue unary call, whose body may not have arrived. */
  refuseOverdue(handler: UniversalHandler): UniversalHandler;
  /** Ends an overdue stream, and gives every method the signal of its call. */
  readonly interceptor: Interceptor;
};

type ConnectCall = { readonly signal: AbortSignal; readonly overdue: Overdue };

/**
 * A peer that has not sent its whole request, or not taken its whole answer, this long after its
 * call was overdue loses the stream, or with HTTP/1.1 the connection.
 */
const maxSendMs = 1_000;
const openCall = createContextKey<ConnectCall | undefined>(undefined);

export function createConnectCalls(calls: OpenCalls, boundary: Boundary, log: Logger): ConnectCalls {
  const opened = new WeakMap<NodeRequest, ConnectCall>();

  return {
    open(method, request, response) {
      const overdue = createOverdue();
      const call = calls.open({
        owner: response,
        method,
        timeoutMs: timeoutOf(request),
        onOverdue(fault) {
          overdue.set(fault);
          boundary.after(response, maxSendMs, () => cut(request, response)).unref();
        },
      });
      response.once("close", call.leave);
      opened.set(request, {
        overdue,
        get signal() {
          return call.signal;
        },
      });
    },

    contextValues: (request) => createContextValues().set(openCall, opened.get(request)),

    refuseOverdue(handler) {
      // Connect reads the request of a unary call before its interceptors run.
      if (handler.method.methodKind !== "unary") return handler;
      const rpc = `${handler.service.typeName}/${handler.method.name}`;
      const handle = async (request: UniversalServerRequest) => {
        const overdue = request.contextValues?.get(openCall)?.overdue;
        if (!overdue) return handler(request);
        try {
          return await overdue.unless(handler(request));
        } catch (error) {
          if (error !== overdue.fault()) throw error;
          return refuse(handler, request, connectErrorOf(callFault(error, rpc, log)));
        }
      };
      return Object.assign(handle, handler);
    },

    interceptor: (next) => async (request) => {
      const call = request.contextValues.get(openCall);
      if (!call) return next(request);
      const response = next({ ...request, signal: call.signal });
      if (!request.stream) return response;
      const { overdue } = call;
      const begun = await overdue.unless(response);
      return begun.stream ? { ...begun, message: overdue.unlessStream(begun.message) } : begun;
    },
  };
}

/** The caller's time-out; undefined if it set none, or one that Connect will refuse. */
function timeoutOf({ headers }: NodeRequest): number | undefined {
  const isGrpc = headers["content-type"]?.startsWith("application/grpc");
  const parse = isGrpc ? parseGrpcTimeout : parseConnectTimeout;
  const value = headers[isGrpc ? "grpc-timeout" : "connect-timeout-ms"];
  return parse(typeof value === "string" ? value : null, Number.POSITIVE_INFINITY).timeoutMs;
}

function cut(request: NodeRequest, response: NodeResponse): void {
  if ("stream" in response) {
    const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;
    if (!response.stream.closed)
      response.stream.close(response.stream.writableFinished ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
  } else if (!request.complete || !response.writableFinished) request.destroy();
}
