import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
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
import { parseTimeout, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { Logger } from "../../telemetry.ts";
import { maxTimeoutMs } from "../caller.ts";
import type { Boundary } from "./boundary.ts";
import { createCall } from "./call.ts";
import { enveloped, gzipped, readMessage } from "./envelope.ts";

type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;

export type UnaryCalls = {
  /** Routes as they are, whose unary methods are answered here too. */
  watch(routes: (router: ConnectRouter) => void): (router: ConnectRouter) => void;
  /** Answers a call that is plain enough; false where it is Connect's. */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
};

type Deps = {
  /** Of a message, whether it comes compressed or not. */
  mostBytes: number;
  /** What a caller is told of what was thrown. */
  explain(error: unknown, rpc: string): ConnectError;
  boundary: Boundary;
  log: Logger;
};

const contentTypes = new Set(["application/grpc", "application/grpc+proto"]);
const lingerMs = 1_000;
const encodings = new Set([undefined, "identity", "gzip"]);

/**
 * Answers unary gRPC over HTTP/2, the most of all calls, with what Connect would answer, by the same implementations and faults: Connect's own
 * way costs several times as much, in generators and in an exception that ends each call. Everything else stays with Connect.
 */
export function createUnaryCalls({ mostBytes, explain, boundary, log }: Deps): UnaryCalls {
  const specs = new Map<string, UnarySpec>();

  async function answer(
    spec: UnarySpec,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    timeoutMs: number | undefined,
  ) {
    const call = createCall(spec.method, stream, headers, timeoutMs, boundary);
    const asksGzip = /(^|,)\s*gzip\s*(,|$)/.test(
      (headers["grpc-accept-encoding"] as string | undefined) ??
        (headers["grpc-encoding"] as string | undefined) ??
        "",
    );
    let message: Buffer | undefined;
    let failed: ConnectError | undefined;
    try {
      const request = decode(
        spec.method.input,
        await readMessage(stream, mostBytes, headers["grpc-encoding"] === "gzip"),
      );
      const response = create(spec.method.output, await spec.impl(request, call.context));
      const bytes = toBinary(spec.method.output, response);
      message = asksGzip ? await gzipped(bytes) : enveloped(bytes);
    } catch (error) {
      failed = explain(error, nameOf(spec.method));
    }
    call.end();
    if (!stream.destroyed && !stream.closed)
      send(stream, boundary, message, {
        headers: call.headers(asksGzip),
        trailers: trailersOf(call.trailers(), failed),
      });
  }

  return {
    watch: (routes) => (router) => {
      const { service } = router;
      router.service = (description, implementation, options) => {
        for (const spec of Object.values(createServiceImplSpec(description, implementation as never).methods))
          if (spec.kind === "unary") specs.set(`/${nameOf(spec.method)}`, spec);
        return service.call(router, description, implementation, options) as never;
      };
      routes(router);
      router.service = service;
    },

    take(stream, headers) {
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

function decode<Desc extends DescMessage>(type: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(type, bytes);
  } catch (error) {
    throw new ConnectError("undecodable", Code.Internal, undefined, undefined, error);
  }
}

function send(
  stream: ServerHttp2Stream,
  boundary: Boundary,
  message: Buffer | undefined,
  around: { headers: OutgoingHttpHeaders; trailers: OutgoingHttpHeaders },
): void {
  stream.respond(around.headers, { waitForTrailers: true });
  stream.once("wantTrailers", () => {
    stream.sendTrailers(around.trailers);
    // Whoever still sends a message that was refused is told to stop.
    if (!stream.readableEnded) boundary.after(stream, lingerMs, () => stream.close()).unref();
  });
  stream.end(message);
}

function trailersOf(own: Headers | undefined, failed: ConnectError | undefined): OutgoingHttpHeaders {
  if (!own && !failed) return { "grpc-status": "0" };
  return Object.fromEntries(setTrailerStatus(own ?? new Headers(), failed));
}
