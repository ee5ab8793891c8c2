import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { Cancelled, DeadlineExceeded } from "../../domain/faults.ts";
import type { Boundary } from "./boundary.ts";

/** A call by gRPC over HTTP/2, as its implementation sees it and as its answer needs it. */
export type Call = {
  readonly context: HandlerContext;
  /** To be called before the answer is sent. */
  end(): void;
  headers(isGzip: boolean): OutgoingHttpHeaders;
  /** Undefined where none were set. */
  trailers(): Headers | undefined;
};

/** One reason for all: an error of its own for each call would cost more than reading a row. */
const ended = new Cancelled();

/** Makes what a method may ask of its call only when it asks: most ask for little. */
export function createCall(
  method: DescMethod,
  stream: ServerHttp2Stream,
  sent: IncomingHttpHeaders,
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

  function end(reason: Error = ended): void {
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
      url: `http://${sent[":authority"]}${sent[":path"]}`,
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
          Object.entries(sent).flatMap(([name, value]) =>
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
    headers: (isGzip) => ({
      ":status": 200,
      "content-type": "application/grpc+proto",
      ...(isGzip && { "grpc-encoding": "gzip" }),
      ...(responseHeader && Object.fromEntries(responseHeader)),
    }),
    trailers: () => responseTrailer,
  };
}
