import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { create, type DescMethodUnary, toBinary } from "@bufbuild/protobuf";
import {
  type ConnectError,
  type ConnectRouter,
  createServiceImplSpec,
  type MethodImplSpec,
} from "@connectrpc/connect";
import { parseTimeout } from "@connectrpc/connect/protocol-grpc";
import type { Logger } from "../../telemetry.ts";
import { maxTimeoutMs } from "../caller.ts";
import type { Boundary } from "./boundary.ts";
import { createCall } from "./call.ts";
import type { CallMemory } from "./call-memory.ts";
import { drain } from "./drain.ts";
import { envelope, gzipEnvelope } from "./envelope.ts";
import type { OpenCalls } from "./open-calls.ts";
import { answersOverloaded } from "./overload.ts";
import { acceptsGzip, createUnaryRequests, isUsual } from "./unary-request.ts";
import { sendResponse, trailersOf } from "./unary-response.ts";

type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;

export type UnaryCalls = {
  /**
   * The same routes, which also register their unary methods here: `router.service` is replaced
   * while they run, since Connect's handlers do not give out their implementations.
   */
  register(routes: (router: ConnectRouter) => void): (router: ConnectRouter) => void;
  /** Answers the call of a registered method; false if Connect must answer it. */
  tryAnswer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
};

type Deps = {
  /** Maximum size of a message, compressed or not. */
  maxBytes: number;
  /** Makes the error that the caller gets of any value that was thrown. */
  explain(error: unknown, rpc: string): ConnectError;
  calls: OpenCalls;
  memory: CallMemory;
  boundary: Boundary;
  log: Logger;
};

/**
 * Answers unary gRPC over HTTP/2, which is most calls, with the same implementations, faults and
 * bytes as Connect. Connect's server costs several times as much CPU, for generators and for an
 * exception that ends each call. Connect answers everything else.
 */
export function createUnaryCalls({ maxBytes, explain, calls, memory, boundary, log }: Deps): UnaryCalls {
  const specs = new Map<string, UnarySpec>();
  const readRequest = createUnaryRequests({ maxBytes, memory });

  async function answer(
    spec: UnarySpec,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    timeoutMs: number | undefined,
  ) {
    const { method } = spec;
    const isGzip = acceptsGzip(headers);
    let isAnswered = false;
    const open = calls.open({
      owner: stream,
      method,
      timeoutMs,
      onOverdue: (fault) => send(undefined, explain(fault, nameOf(method))),
    });
    const call = createCall(method, headers, timeoutMs, open);
    const connection = stream.session ?? stream;
    const requestHold = memory.requests(connection);
    const answerHold = memory.answers(connection);
    stream.once("close", () => {
      open.leave();
      answerHold.release();
    });

    function send(message: Buffer | undefined, fault: ConnectError | undefined): void {
      if (isAnswered) return;
      isAnswered = true;
      open.close();
      if (stream.destroyed || stream.closed) return;
      sendResponse(stream, boundary, {
        headers: call.responseHeaders(isGzip),
        message,
        trailers: trailersOf(call.responseTrailers(), fault),
      });
    }

    try {
      const request = await readRequest(method, stream, headers, requestHold);
      // The request of a call that was overdue comes too late to run.
      if (isAnswered) return;
      open.received();
      const response = create(method.output, await spec.impl(request, call.context));
      const output = toBinary(method.output, response);
      const message = isGzip ? await gzipEnvelope(output) : envelope(output);
      if (!answerHold.take(message.length)) throw answersOverloaded();
      send(message, undefined);
    } catch (error) {
      await drain(stream, boundary);
      send(undefined, explain(error, nameOf(method)));
    } finally {
      requestHold.release();
    }
  }

  return {
    register: (routes) => (router) => {
      const { service } = router;
      router.service = (description, implementation, options) => {
        for (const spec of Object.values(createServiceImplSpec(description, implementation as never).methods))
          if (spec.kind === "unary") specs.set(`/${nameOf(spec.method)}`, spec);
        return service.call(router, description, implementation, options) as never;
      };
      routes(router);
      router.service = service;
    },

    tryAnswer(stream, headers) {
      const spec = specs.get(headers[":path"] as string);
      if (!spec || !isUsual(headers)) return false;
      const timeout = parseTimeout(
        (headers["grpc-timeout"] as string | undefined) ?? null,
        Number.POSITIVE_INFINITY,
      );
      if (timeout.error) return false;
      stream.on("error", () => {});
      answer(
        spec,
        stream,
        headers,
        timeout.timeoutMs === undefined ? undefined : Math.min(timeout.timeoutMs, maxTimeoutMs),
      ).catch((error: unknown) => {
        log.error({ rpc: nameOf(spec.method), err: error }, "a call could not be answered");
        stream.destroy();
      });
      return true;
    },
  };
}

const nameOf = ({ parent, name }: DescMethodUnary) => `${parent.typeName}/${name}`;
