import { request as httpRequest } from "node:http";
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import { endStreamFromJson } from "@connectrpc/connect/protocol-connect";

/** How a call ended: its code as gRPC's number, and after how many milliseconds. */
export type Ended = { code: number; ms: number; details: string };
/** A body that ends, or that never ends; `trickle` is sent every 100 ms. */
export type Body = { bytes: Uint8Array; isWhole: boolean; trickle?: Uint8Array };
export type Door = {
  readonly name: string;
  /** Whether both sides may send at the same time. */
  readonly isDuplex: boolean;
  /** A request without fields, as this door takes it. */
  empty(isStream: boolean): Uint8Array;
  call(target: Target, path: string, isStream: boolean, body: Body, timeoutMs: number): Promise<Ended>;
};
type Target = { url: string; session: ClientHttp2Session };

const codes = ["ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found"];

/**
 * The maximum time of calls with this time-out, by the time that the same calls take with almost
 * none: a busy machine takes seconds for hundreds of calls.
 */
export const maxMsOf = (timeoutMs: number, unhindered: readonly Pick<Ended, "ms">[]): number =>
  timeoutMs + 1_000 + 3 * Math.max(...unhindered.map(({ ms }) => ms));

export function envelope(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Writes the body, and stops once the call is over. */
function send(
  { bytes, isWhole, trickle }: Body,
  stream: {
    write(bytes: Uint8Array): unknown;
    end(): unknown;
    once(event: "close", end: () => void): unknown;
  },
): void {
  if (bytes.length > 0) stream.write(bytes);
  if (isWhole) return void stream.end();
  if (!trickle) return;
  const timer = setInterval(() => stream.write(trickle), 100);
  stream.once("close", () => clearInterval(timer));
}

function overHttp2(
  headers: (isStream: boolean, timeoutMs: number) => Record<string, string>,
  readCode: ReadCode,
) {
  return ({ session }: Target, path: string, isStream: boolean, body: Body, timeoutMs: number) =>
    new Promise<Ended>((resolve) => {
      const began = performance.now();
      const stream = session.request({ ":method": "POST", ":path": path, ...headers(isStream, timeoutMs) });
      const parts: Buffer[] = [];
      let received: IncomingHttpHeaders = {};
      let isOver = false;
      const end = () => {
        if (isOver) return;
        isOver = true;
        stream.close();
        const ms = Math.round(performance.now() - began);
        resolve({ ms, ...readCode(received, Buffer.concat(parts), isStream) });
      };
      stream.on("response", (sent) => Object.assign(received, sent));
      stream.on("trailers", (sent) => {
        received = { ...received, ...sent };
        end();
      });
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", end).on("close", end).on("error", end);
      send(body, stream);
    });
}

type ReadCode = (headers: IncomingHttpHeaders, body: Buffer, isStream: boolean) => Omit<Ended, "ms">;

const ofTrailers: ReadCode = (headers) => ({
  code: Number(headers["grpc-status"] ?? -1),
  details: Buffer.from(String(headers["grpc-status-details-bin"] ?? ""), "base64").toString("latin1"),
});
const ofWebTrailers: ReadCode = (_headers, body) => {
  const text = body.toString("latin1");
  return { code: Number(/grpc-status: (\d+)/.exec(text)?.[1] ?? -1), details: text };
};
const ofJson: ReadCode = (headers, body, isStream) => {
  if (isStream) {
    let last = body;
    while (last.length >= 5 && (last[0] as number) < 2) last = last.subarray(5 + last.readUInt32BE(1));
    const { error } = endStreamFromJson(last.subarray(5));
    return { code: error?.code ?? 0, details: body.toString() };
  }
  const code =
    Number(headers[":status"]) === 200 ? "ok" : (JSON.parse(body.toString()) as { code: string }).code;
  return { code: codes.indexOf(code), details: body.toString() };
};

const grpc = (more: Record<string, string>) => (_isStream: boolean, timeoutMs: number) => ({
  "content-type": "application/grpc",
  te: "trailers",
  "grpc-timeout": `${timeoutMs}m`,
  ...more,
});
const json = (isStream: boolean, timeoutMs: number) => ({
  "content-type": isStream ? "application/connect+json" : "application/json",
  "connect-timeout-ms": `${timeoutMs}`,
});

const emptyProto = () => envelope(new Uint8Array());
const emptyJson = (isStream: boolean) => (isStream ? envelope(Buffer.from("{}")) : Buffer.from("{}"));

/** Every way into the gateway. */
export const doors: readonly Door[] = [
  { name: "gRPC", isDuplex: true, empty: emptyProto, call: overHttp2(grpc({}), ofTrailers) },
  {
    name: "gRPC by Connect",
    isDuplex: true,
    empty: emptyProto,
    call: overHttp2(grpc({ origin: "http://a" }), ofTrailers),
  },
  {
    name: "gRPC-Web",
    isDuplex: true,
    empty: emptyProto,
    call: overHttp2(grpc({ "content-type": "application/grpc-web+proto" }), ofWebTrailers),
  },
  { name: "Connect", isDuplex: true, empty: emptyJson, call: overHttp2(json, ofJson) },
  {
    name: "HTTP/1.1",
    isDuplex: false,
    empty: emptyJson,
    call: ({ url }, path, isStream, body, timeoutMs) =>
      new Promise((resolve, reject) => {
        const began = performance.now();
        const headers = { ...json(isStream, timeoutMs), "transfer-encoding": "chunked" };
        const request = httpRequest(`${url}${path}`, { method: "POST", headers }, (response) => {
          const parts: Buffer[] = [];
          response.on("data", (part: Buffer) => parts.push(part));
          response.on("end", () => {
            const ms = Math.round(performance.now() - began);
            const status = { ":status": response.statusCode } as IncomingHttpHeaders;
            resolve({ ms, ...ofJson(status, Buffer.concat(parts), isStream) });
            request.destroy();
          });
        });
        request.on("error", reject).flushHeaders();
        send(body, request);
      }),
  },
];
