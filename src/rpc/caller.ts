import type { DescMethod } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { Invalid } from "../domain/faults.ts";
import type { Labels } from "../domain/labels.ts";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { ExecutionService } from "../gen/sigrun/v1/execution_service_pb.ts";
import { OptimizationService } from "../gen/sigrun/v1/optimization_service_pb.ts";
import { ProgramService } from "../gen/sigrun/v1/program_service_pb.ts";

export type Caller = {
  readonly project: string;
  /**
   * Aborts with DeadlineExceeded at the deadline, with Cancelled when the caller leaves, and with
   * Stopping when the gateway stops before the answer.
   */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** When the time-out ends, on performance.now()'s clock. */
  readonly deadline: number;
};

/** The one project there is until callers have credentials. */
const defaultProject = "00000000-0000-0000-0000-000000000000";
/** Maximum of a caller's deadline: one hour. */
export const maxTimeoutMs = 3_600_000;
const readMs = 5_000;
const buildMs = 10_000;
export const runMs = 30_000;
const evaluateMs = 300_000;
/** A watch stays open until its caller leaves or the gateway stops. */
const watchMs = Number.POSITIVE_INFINITY;

/** Default time-outs of calls whose callers set none. All other methods have `readMs`. */
const defaultTimeouts = new Map<DescMethod, number>([
  [ProgramService.method.createProgram, buildMs],
  [ProgramService.method.updateProgram, buildMs],
  [ProgramService.method.compileProgram, buildMs],
  [ProgramService.method.importProgramState, buildMs],
  [ProgramService.method.exportProgram, buildMs],
  [ProgramService.method.optimizeProgram, buildMs],
  [ProgramService.method.executeProgram, runMs],
  [ProgramService.method.streamProgram, runMs],
  // Each item has `runMs`; the call as a whole has the maximum.
  [ProgramService.method.batchExecuteProgram, maxTimeoutMs],
  [ProgramService.method.evaluateProgram, evaluateMs],
  [ExecutionService.method.watchExecutions, watchMs],
  [OptimizationService.method.watchOptimization, watchMs],
  [Health.method.watch, watchMs],
  [ServerReflection.method.serverReflectionInfo, watchMs],
  [ServerReflectionAlpha.method.serverReflectionInfo, watchMs],
]);

export const defaultTimeoutOf = (method: DescMethod): number => defaultTimeouts.get(method) ?? readMs;

/** Who calls, from when on the call must end, and a signal for that end. */
export function callerOf(context: HandlerContext): Caller {
  const timeoutMs = Math.max(0, context.timeoutMs() ?? defaultTimeoutOf(context.method));
  return {
    project: defaultProject,
    timeoutMs,
    deadline: performance.now() + timeoutMs,
    // The signal of a unary gRPC call is made when it is first read, and most calls that only read
    // records never need it. `const { project, ...rest }` reads it too, so name what you take.
    get signal() {
      return context.signal;
    },
  };
}

const labelPrefix = "sigrun-label-";
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Node gives a header's bytes as latin1. gRPC sends other bytes than ASCII as base64 in -bin. */
function utf8Of(bytes: Uint8Array, name: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw Invalid.at("REQUEST_INVALID", `header ${name}`, "must be UTF-8", "encoding");
  }
}

/** A run's settings in its headers, for clients that can't set the fields. The fields win. */
export function headersOf({ requestHeader }: HandlerContext): {
  requestId: string;
  revision: number;
  labels: Labels;
} {
  const revision = requestHeader.get("sigrun-revision") ?? "0";
  if (!/^\d{1,9}$/.test(revision))
    throw Invalid.at("REQUEST_INVALID", "header sigrun-revision", "must be a whole number", "type");
  const labels: Record<string, string> = {};
  requestHeader.forEach((value, name) => {
    if (!name.startsWith(labelPrefix)) return;
    const key = name.slice(labelPrefix.length);
    if (key.endsWith("-bin"))
      labels[key.slice(0, -"-bin".length)] = utf8Of(Buffer.from(value, "base64"), name);
    else labels[key] = utf8Of(Buffer.from(value, "latin1"), name);
  });
  return { requestId: requestHeader.get("sigrun-request-id") ?? "", revision: Number(revision), labels };
}
