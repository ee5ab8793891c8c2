import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { maxTimeoutMs } from "../caller.ts";
import type { NodeHandler } from "./port.ts";

/** The caller's time-out; undefined if it set none, or one that Connect will refuse. */
export function timeoutOf({ headers }: Parameters<NodeHandler>[0]): number | undefined {
  const isGrpc = headers["content-type"]?.toLowerCase().startsWith("application/grpc");
  const parse = isGrpc ? parseGrpcTimeout : parseConnectTimeout;
  const value = headers[isGrpc ? "grpc-timeout" : "connect-timeout-ms"];
  return parse(typeof value === "string" ? value : null, Number.POSITIVE_INFINITY).timeoutMs;
}

/**
 * Cuts a caller's deadline to one hour: Connect refuses longer ones, and Node's timers cannot hold
 * 25 days.
 */
export function clampTimeout(header: Headers): void {
  const connect = header.get("connect-timeout-ms");
  if (connect && Number(connect) > maxTimeoutMs) header.set("connect-timeout-ms", String(maxTimeoutMs));
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  const units: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000 };
  if (digits && Number(digits) * (units[unit ?? ""] ?? 0) > maxTimeoutMs) header.set("grpc-timeout", "1H");
}
