import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { Cancelled, DeadlineExceeded } from "../../domain/faults.ts";
import type { Boundary } from "./boundary.ts";

/**
 * A unary gRPC call over HTTP/2: the context of its implementation, and the headers of its answer.
 */
export type Call = {
  readonly context: HandlerContext;
  /** Aborts the context's signal. Must be called before the answer is sent. */
  end(): void;
  responseHeaders(isGzip: boolean): OutgoingHttpHeaders;
  /** Undefined if the implementation set none. */
  responseTrailers(): Headers | undefined;
};

/** Shared by all calls, because the stack trace of a new error costs more than reading a row. */
const callEndedFault = new Cancelled();

/** Creates each part of the context on first use, because most methods use few of them. */
export function createCall(
  method: DescMethod,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  timeoutMs: number | undefined,
  boundary: Boundary,
): Call {
  const deadline = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  const remainingMs = () => (deadline === undefined ? undefined : deadline - Date.now());
  let requestHeader: Headers | undefined;
  let responseHeader: Headers | undefined;
  let responseTrailer: Headers | undefined;
  let values: ContextValues | undefined;
  let controller: AbortController | undefined;
  let timer: NodeJS.Timeout | undefined;

  function end(reason: Error = callEndedFault): void {
    clearTimeout(timer);
    controller?.abort(reason);
  }
  stream.once("close", () => end());

  return {
    context: {
      method,
      service: method.parent,
      protocolName: "grpc",
      requestMethod: "POST",
      url: `http://${headers[":authority"]}${headers[":path"]}`,
      timeoutMs: remainingMs,
      get signal() {
        if (controller) return controller.signal;
        controller = new AbortController();
        if (stream.closed) end();
        else if (deadline !== undefined)
          timer = boundary.after(stream, Math.max(0, deadline - Date.now()), () =>
            end(new DeadlineExceeded()),
          );
        return controller.signal;
      },
      get requestHeader() {
        requestHeader ??= new Headers(
          Object.entries(headers).flatMap(([name, value]) =>
            name.startsWith(":") ? [] : [[name, String(value)] as [string, string]],
          ),
        );
        return requestHeader;
      },
      get responseHeader() {
        responseHeader ??= new Headers();
        return responseHeader;
      },
      get responseTrailer() {
        responseTrailer ??= new Headers();
        return responseTrailer;
      },
      get values() {
        values ??= createContextValues();
        return values;
      },
    },
    end: () => end(),
    responseHeaders: (isGzip) => ({
      ":status": 200,
      "content-type": "application/grpc+proto",
      ...(isGzip && { "grpc-encoding": "gzip" }),
      ...(responseHeader && Object.fromEntries(responseHeader)),
    }),
    responseTrailers: () => responseTrailer,
  };
}
