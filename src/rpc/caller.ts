import type { HandlerContext } from "@connectrpc/connect";
import { Cancelled, DeadlineExceeded, Invalid } from "../domain/faults.ts";
import type { Labels } from "../domain/labels.ts";

export type Caller = {
  readonly project: string;
  /** Aborts with DeadlineExceeded at the deadline, and with Cancelled when the caller leaves. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
};

/** The one project there is until callers have credentials. */
const defaultProject = "00000000-0000-0000-0000-000000000000";
/** Maximum of a caller's deadline: one hour. */
export const maxTimeoutMs = 3_600_000;
/**
 * Maximum time between the caller's deadline and ours. Its timer starts when it sends the call, and
 * ours when the call arrives. So a caller that leaves within this time before our deadline has
 * reached its own: the run's record says DEADLINE_EXCEEDED, and not CANCELLED.
 */
const transitMs = 50;
/**
 * Shared by all calls: the signal of a call aborts also when the call has been answered, and a new
 * error would cost a stack trace each time.
 */
const callerLeftFault = new Cancelled();

/** Default deadlines, for callers that set none. */
export const defaultTimeouts = {
  read: 5_000,
  build: 10_000,
  run: 30_000,
  evaluate: 300_000,
  batch: 3_600_000,
  watch: Number.POSITIVE_INFINITY,
} as const;

export function callerOf(context: HandlerContext, defaultMs: number): Caller {
  const timeoutMs = Math.max(
    0,
    Math.min(context.timeoutMs() ?? defaultMs, Math.max(defaultMs, maxTimeoutMs)),
  );
  const calledAt = performance.now();
  let controller: AbortController | undefined;

  // The signal is made when `signal` is first read, because its timer costs and most calls that
  // only read records never need it. `const { project, ...rest }` reads it too, so name what you
  // take.
  function signalOf(): AbortSignal {
    if (controller) return controller.signal;
    const created = new AbortController();
    controller = created;
    const leftMs = Math.max(0, timeoutMs - (performance.now() - calledAt));
    const timer =
      timeoutMs <= maxTimeoutMs ? setTimeout(() => created.abort(new DeadlineExceeded()), leftMs) : undefined;
    const leave = () => {
      clearTimeout(timer);
      const leftMs = context.timeoutMs() ?? Number.POSITIVE_INFINITY;
      created.abort(leftMs <= transitMs ? new DeadlineExceeded() : callerLeftFault);
    };
    if (context.signal.aborted) leave();
    else context.signal.addEventListener("abort", leave, { once: true });
    return created.signal;
  }

  return {
    project: defaultProject,
    timeoutMs,
    get signal() {
      return signalOf();
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
