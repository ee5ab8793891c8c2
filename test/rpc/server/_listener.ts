import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import type { ConnectRouter } from "@connectrpc/connect";
import type { ExecutionContext } from "ava";
import { readConfig } from "../../../src/config.ts";
import { services } from "../../../src/rpc/router.ts";
import { createHealth } from "../../../src/rpc/server/health.ts";
import type { PortLimits } from "../../../src/rpc/server/limits.ts";
import { createListener } from "../../../src/rpc/server/listener.ts";
import type { Logger } from "../../../src/telemetry.ts";

type Wanted = { limits?: Partial<PortLimits>; routes?: (router: ConnectRouter) => void };

/** The gateway's port with health, reflection and the given routes, and the lines of its log. */
export async function startListener(t: ExecutionContext, { limits, routes = () => {} }: Wanted = {}) {
  const lines: string[] = [];
  const write = (_fields: object, line: string) => void lines.push(line);
  const health = createHealth([]);
  health.set("", true);
  const listener = createListener({
    routes,
    services,
    health,
    limits: { ...readConfig({}), ...limits },
    log: { error: write, warn: write } as unknown as Logger,
  });
  const port = await listener.listen("127.0.0.1", 0);
  t.teardown(() => listener.drain(0));
  const url = `http://127.0.0.1:${port}`;
  const open = () => {
    const session = connect(url, { maxSessionMemory: 2_000 });
    t.teardown(() => session.destroy());
    return session.on("error", () => {});
  };
  return { port, url, lines, open };
}

export type Answer = {
  headers: IncomingHttpHeaders;
  trailers: IncomingHttpHeaders;
  body: Buffer;
  /** gRPC's status, from the trailers or, without a body, from the headers. */
  status: string;
  rstCode: number;
};

export const healthCheck = "/grpc.health.v1.Health/Check";
export const healthWatch = "/grpc.health.v1.Health/Watch";

/** A message with its head: flags, and the length in four bytes. */
export function envelope(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Opens a gRPC call, and leaves its body to the caller. */
export function openCall(session: ClientHttp2Session, path: string, headers: Record<string, string> = {}) {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  return stream.on("error", () => {});
}

/** Makes a gRPC call over HTTP/2; also resolves if the call is reset. */
export function call(
  session: ClientHttp2Session,
  path: string,
  body: Uint8Array = envelope(Buffer.alloc(0)),
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = openCall(session, path, headers);
    const parts: Buffer[] = [];
    let responseHeaders: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on("response", (sent) => {
      responseHeaders = sent;
    });
    stream.on("trailers", (sent) => {
      trailers = sent;
    });
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("close", () =>
      resolve({
        headers: responseHeaders,
        trailers,
        body: Buffer.concat(parts),
        status: String(trailers["grpc-status"] ?? responseHeaders["grpc-status"]),
        rstCode: stream.rstCode,
      }),
    );
    stream.end(body);
  });
}
