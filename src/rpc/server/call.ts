import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues, type HandlerContext } from "@connectrpc/connect";
import type { OpenCall } from "./open-calls.ts";

/**
 * A unary gRPC call over HTTP/2: the context of its implementation, and the headers of its answer.
 */
export type Call = {
  readonly context: HandlerContext;
  responseHeaders(isGzip: boolean): OutgoingHttpHeaders;
  /** Undefined if the implementation set none. */
  responseTrailers(): Headers | undefined;
};

/** Creates each part of the context on first use, because most methods use few of them. */
export function createCall(
  method: DescMethod,
  headers: IncomingHttpHeaders,
  timeoutMs: number | undefined,
  open: OpenCall,
): Call {
  const deadline = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  const remainingMs = () => (deadline === undefined ? undefined : deadline - Date.now());
  let requestHeader: Headers | undefined;
  let responseHeader: Headers | undefined;
  let responseTrailer: Headers | undefined;
  let values: ContextValues | undefined;

  return {
    context: {
      method,
      service: method.parent,
      protocolName: "grpc",
      requestMethod: "POST",
      url: `http://${headers[":authority"]}${headers[":path"]}`,
      timeoutMs: remainingMs,
      get signal() {
        return open.signal;
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
    responseHeaders: (isGzip) => ({
      ":status": 200,
      "content-type": "application/grpc+proto",
      ...(isGzip && { "grpc-encoding": "gzip" }),
      ...(responseHeader && Object.fromEntries(responseHeader)),
    }),
    responseTrailers: () => responseTrailer,
  };
}
