import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createServiceImplSpec,
  type MethodImplSpec,
} from "@connectrpc/connect";
import { parseTimeout } from "@connectrpc/connect/protocol-grpc";
import type { Logger } from "../../telemetry.ts";
import { checkBounds } from "../bounds.ts";
import { maxTimeoutMs } from "../caller.ts";
import { decodeLarge, largeBytes } from "../decoding/decode.ts";
import type { Boundary } from "./boundary.ts";
import { createCall } from "./call.ts";
import { envelope, gzipEnvelope, readMessage } from "./envelope.ts";
import type { OpenCalls } from "./open-calls.ts";
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
  boundary: Boundary;
  log: Logger;
};

const contentTypes = new Set(["application/grpc", "application/grpc+proto"]);
const encodings = new Set([undefined, "identity", "gzip"]);

/**
 * Answers unary gRPC over HTTP/2, which is most calls, with the same implementations, faults and
 * bytes as Connect. Connect's server costs several times as much CPU, for generators and for an
 * exception that ends each call. Connect answers everything else.
 */
export function createUnaryCalls({ maxBytes, explain, calls, boundary, log }: Deps): UnaryCalls {
  const specs = new Map<string, UnarySpec>();

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
    stream.once("close", open.leave);

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
      const bytes = await readMessage(stream, maxBytes, headers["grpc-encoding"] === "gzip");
      const { input } = method;
      const request =
        bytes.length > largeBytes ? await decodeLarge(input, bytes, "binary") : decode(input, bytes);
      checkBounds(input, request);
      const response = create(method.output, await spec.impl(request, call.context));
      const answer = toBinary(method.output, response);
      send(isGzip ? await gzipEnvelope(answer) : envelope(answer), undefined);
    } catch (error) {
      send(undefined, explain(error, nameOf(method)));
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
      if (!spec || headers[":method"] !== "POST" || !contentTypes.has(headers["content-type"] as string))
        return false;
      if (
        !encodings.has(headers["grpc-encoding"] as string | undefined) ||
        headers.origin !== undefined ||
        headers.expect !== undefined
      )
        return false;
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

const acceptsGzip = (headers: IncomingHttpHeaders) =>
  /(^|,)\s*gzip\s*(,|$)/.test(
    (headers["grpc-accept-encoding"] as string | undefined) ??
      (headers["grpc-encoding"] as string | undefined) ??
      "",
  );

function decode<Desc extends DescMessage>(type: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(type, bytes);
  } catch (error) {
    throw new ConnectError("the bytes cannot be decoded", Code.Internal, undefined, undefined, error);
  }
}
