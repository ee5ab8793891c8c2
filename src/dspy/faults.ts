import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import {
  Cancelled,
  DeadlineExceeded,
  Fault,
  type Reason,
  SidecarUnavailable,
  TooLarge,
  type Violation,
} from "../domain/faults.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../gen/google/rpc/status_pb.ts";
import type { Failure } from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import { maxRequestBytes, mebibyte } from "./channel.ts";

/**
 * Thrown if the worker does not hold the program: it is another one, or was restarted. The call is
 * made again with the definition.
 */
export class ProgramNotLoaded extends Error {}

/**
 * Thrown if no worker has begun the run: it was not sent, or the worker ends and refuses further
 * runs. The run may be sent to another worker, whatever its effects.
 */
export class NotStarted extends SidecarUnavailable {}

/** The fault of a failed call to the sidecar. */
export function sidecarFault(error: unknown, signal: AbortSignal | undefined): Error {
  if (signal?.aborted) return signal.reason instanceof Fault ? signal.reason : new Cancelled();
  const { code, details, metadata } = error as { code?: unknown; details?: unknown; metadata?: unknown };
  if (typeof code !== "number" || !(metadata instanceof Metadata))
    return error instanceof Error ? error : new Error(String(error));
  const message = typeof details === "string" ? details : "";
  return faultFor({ code, message, ...readStatus(metadata) }, error);
}

/** The fault of a failed run. */
export function faultOfFailure({ code, reason, message, retryAfterS, refusals }: Failure): Error {
  const violations = refusals.map(({ path, description, reason }) => ({ field: path, description, reason }));
  const retryAfterMs = retryAfterS && retryAfterS * 1000;
  return faultFor({ code, reason, message, retryAfterMs, violations }, undefined);
}

type Failed = {
  code: number;
  reason: string;
  message: string;
  retryAfterMs: number | undefined;
  violations?: readonly Violation[];
};

function faultFor({ code, message, reason, retryAfterMs, violations = [] }: Failed, cause: unknown): Error {
  if (reason === "PROGRAM_NOT_LOADED") return new ProgramNotLoaded(message);
  if (reason === "BUILD_FAILED")
    return new Fault("PROGRAM_INVALID", `DSPy can't build the program: ${message}`, { cause });
  if (reason === "SIDECAR_UNAVAILABLE") return new NotStarted(message, cause);
  if (reason)
    return new Fault(reason as Reason, message, {
      cause,
      violations,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  // An error without a reason comes from grpc-js and not from the sidecar.
  switch (code) {
    case status.UNAVAILABLE:
      return new SidecarUnavailable(undefined, cause);
    case status.DEADLINE_EXCEEDED:
      return new DeadlineExceeded();
    case status.CANCELLED:
      return new Cancelled();
    case status.RESOURCE_EXHAUSTED:
      return requestTooLarge();
    default:
      return new Fault("INTERNAL", "the DSPy sidecar failed", { cause });
  }
}

export const requestTooLarge = () =>
  new TooLarge(
    `the program and its values are larger than ${maxRequestBytes / mebibyte} MiB, the sidecar's maximum`,
  );

function readStatus(metadata: Metadata): Pick<Failed, "reason" | "retryAfterMs"> {
  const [bytes] = metadata.get("grpc-status-details-bin");
  const read: Pick<Failed, "reason" | "retryAfterMs"> = { reason: "", retryAfterMs: undefined };
  if (!Buffer.isBuffer(bytes)) return read;
  for (const detail of fromBinary(StatusSchema, bytes).details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info) read.reason = info.reason;
    const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
    if (delay) read.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
  }
  return read;
}
