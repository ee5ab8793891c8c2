import { randomBytes } from "node:crypto";
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextKey, type Interceptor } from "@connectrpc/connect";
import {
  Cancelled,
  DeadlineExceeded,
  Fault,
  Invalid,
  type Reason,
  TooLarge,
  Unsupported,
  type Violation,
} from "../domain/faults.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import type { FailureSchema } from "../gen/sigrun/v1/program_service_pb.ts";
import type { Logger } from "../telemetry.ts";

/** The gRPC code of each reason, as the comments in error_reason.proto document it. */
export const codes: Record<Reason, Code> = {
  REQUEST_INVALID: Code.InvalidArgument,
  SIGNATURE_INVALID: Code.InvalidArgument,
  PROGRAM_INVALID: Code.InvalidArgument,
  INPUT_INVALID: Code.InvalidArgument,
  FILTER_INVALID: Code.InvalidArgument,
  PAGE_TOKEN_INVALID: Code.InvalidArgument,
  CONTEXT_WINDOW_EXCEEDED: Code.InvalidArgument,
  NOT_FOUND: Code.NotFound,
  ALREADY_EXISTS: Code.AlreadyExists,
  REQUEST_ID_REUSED: Code.AlreadyExists,
  STATUS_CONFLICT: Code.FailedPrecondition,
  IN_USE: Code.FailedPrecondition,
  LM_NOT_CONFIGURED: Code.FailedPrecondition,
  LM_AUTH_FAILED: Code.FailedPrecondition,
  LM_REFUSED: Code.FailedPrecondition,
  NOT_ENABLED: Code.FailedPrecondition,
  ETAG_MISMATCH: Code.Aborted,
  OUTPUT_INVALID: Code.Internal,
  OUTPUT_TRUNCATED: Code.Internal,
  INTERNAL: Code.Internal,
  SIDECAR_UNAVAILABLE: Code.Unavailable,
  STORE_UNAVAILABLE: Code.Unavailable,
  LM_UNAVAILABLE: Code.Unavailable,
  INTERRUPTED: Code.Unavailable,
  ATTEMPTS_EXHAUSTED: Code.Unavailable,
  LM_RATE_LIMITED: Code.ResourceExhausted,
  OVERLOADED: Code.ResourceExhausted,
  TOO_LARGE: Code.ResourceExhausted,
  QUOTA_EXCEEDED: Code.ResourceExhausted,
  BUDGET_EXCEEDED: Code.ResourceExhausted,
  DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  CANCELLED: Code.Canceled,
  UNAUTHENTICATED: Code.Unauthenticated,
  PERMISSION_DENIED: Code.PermissionDenied,
  UNSUPPORTED: Code.Unimplemented,
};

/** True once a call has reached the interceptor. decode-errors.ts handles earlier failures. */
export const arrived = createContextKey(false);

/** Turns every error of a call into a ConnectError with code and details. */
export function explainFaults(log: Logger): Interceptor {
  return (next) => async (request) => {
    request.contextValues.set(arrived, true);
    const rpc = `${request.service.typeName}/${request.method.name}`;
    const explain = (error: unknown) => connectErrorOf(callFault(error, rpc, log));
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: explainStream(response.message, explain) } : response;
    } catch (error) {
      throw explain(error);
    }
  };
}

async function* explainStream<T>(
  messages: AsyncIterable<T>,
  explain: (error: unknown) => ConnectError,
): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    throw explain(error);
  }
}

/** An unexpected error becomes INTERNAL with an incident id, under which the log has its stack. */
export function callFault(error: unknown, rpc: string, log: Logger): Fault {
  if (error instanceof Fault) {
    if (codes[error.reason] === Code.Unavailable)
      log.warn({ rpc, reason: error.reason, err: error.cause }, error.message);
    return error;
  }
  if (error instanceof ConnectError) return faultOfConnect(error, rpc);
  // The caller left while its requests were read, as grpcurl does if a field is misspelt.
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ERR_STREAM_PREMATURE_CLOSE")
    return new Cancelled();
  const incident = randomBytes(4).toString("hex");
  log.error({ rpc, incident, err: error }, "a call failed with an unexpected error");
  return new Fault("INTERNAL", `internal error; see incident ${incident} in the server's log`);
}

/** Connect throws these itself, and the decoding of requests throws the same ones. */
function faultOfConnect(error: ConnectError, rpc: string): Fault {
  switch (error.code) {
    case Code.Unimplemented:
      return new Unsupported(rpc);
    case Code.DeadlineExceeded:
      return new DeadlineExceeded();
    case Code.Canceled:
      return new Cancelled();
    case Code.ResourceExhausted:
      return new TooLarge(error.rawMessage);
    case Code.Internal:
      return undecodable("the bytes are not a protobuf message of the request's type");
    default:
      return undecodable(error.rawMessage);
  }
}

function undecodable(why: string): Fault {
  return Invalid.at("REQUEST_INVALID", "request", `failed to decode: ${why.slice(0, 500)}`, "encoding");
}

/** gRPC clients accept 8 KiB of trailers, which hold the message and the details in base64. */
const maxMessage = 1_000;
const maxViolationBytes = 3_000;

/**
 * A fault as Connect sends it: always ErrorInfo; BadRequest if it has violations; RetryInfo if it
 * has a retry time.
 */
export function connectErrorOf(fault: Fault): ConnectError {
  const shown = thatFit(fault.violations);
  const more = fault.violations.length - shown.length;
  const message =
    fault.message.length > maxMessage
      ? `${fault.message.slice(0, maxMessage).toWellFormed()}...`
      : fault.message;
  const { reason, retryAfterMs } = fault;
  const details = [detail(ErrorInfoSchema, { reason, domain: "sigrun", metadata: { ...fault.metadata } })];
  if (shown.length > 0) details.push(detail(BadRequestSchema, { fieldViolations: shown }));
  const metadata: Record<string, string> = {};
  if (retryAfterMs !== undefined) {
    // Connect sends these as headers, gRPC as trailers; each client reads the one that it knows.
    metadata["retry-after"] = String(Math.ceil(retryAfterMs / 1000));
    metadata["grpc-retry-pushback-ms"] = String(Math.ceil(retryAfterMs));
    const seconds = Math.floor(retryAfterMs / 1000);
    details.push(
      detail(RetryInfoSchema, {
        retryDelay: { seconds: BigInt(seconds), nanos: Math.round((retryAfterMs - seconds * 1000) * 1e6) },
      }),
    );
  }
  return new ConnectError(
    more > 0 ? `${message} (and ${more} more)` : message,
    codes[reason],
    metadata,
    details,
  );
}

type Detail = { desc: DescMessage; value: never };

/** Connect needs the type of each detail together with its value. */
function detail<Desc extends DescMessage>(desc: Desc, value: MessageInitShape<Desc>): Detail {
  return { desc, value: value as never };
}

/** The first violations, up to the size that fits into the trailers. */
function thatFit(violations: readonly Violation[]): Violation[] {
  let bytes = 0;
  return violations.filter(({ field, description, reason }) => {
    bytes += Buffer.byteLength(field) + Buffer.byteLength(description) + reason.length + 12;
    return bytes <= maxViolationBytes;
  });
}

/** A fault as part of a response, for calls that answer several items. */
export function failureMessage({
  reason,
  message,
  violations,
  metadata,
}: Fault): MessageInitShape<typeof FailureSchema> {
  return {
    code: codes[reason],
    reason,
    message,
    violations: [...violations],
    executionId: metadata.execution_id ?? "",
  };
}
