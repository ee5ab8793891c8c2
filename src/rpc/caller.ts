import type { HandlerContext } from "@connectrpc/connect";
import { Cancelled, DeadlineExceeded, Invalid } from "../domain/faults.ts";
import type { Labels } from "../domain/labels.ts";

/** Who calls, until when, and what its headers say; design decisions 11 to 13. */
export type Caller = {
  readonly project: string;
  /** Aborted with DeadlineExceeded when the time is up, with Cancelled when the caller has gone. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
};

/** The one project there is until callers have credentials. */
const defaultProject = "00000000-0000-0000-0000-000000000000";
/** A caller's deadline holds up to an hour. */
export const maxTimeoutMs = 3_600_000;
/** A caller's own timer began when it sent the call, and so ends before ours: who leaves then does so because its time is up. */
const transitMs = 50;
/** One reason for all, since every call ends. */
const gone = new Cancelled();

/** Default deadlines, where the caller sets none. */
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
  let end: AbortController | undefined;

  // Only where it is asked for: what merely reads is over before anybody could wait for it.
  function signalOf(): AbortSignal {
    if (end) return end.signal;
    const controller = new AbortController();
    end = controller;
    const leftMs = Math.max(0, timeoutMs - (performance.now() - calledAt));
    const timer =
      timeoutMs <= maxTimeoutMs
        ? setTimeout(() => controller.abort(new DeadlineExceeded()), leftMs)
        : undefined;
    const leave = () => {
      clearTimeout(timer);
      const leftMs = context.timeoutMs() ?? Number.POSITIVE_INFINITY;
      controller.abort(leftMs <= transitMs ? new DeadlineExceeded() : gone);
    };
    if (context.signal.aborted) leave();
    else context.signal.addEventListener("abort", leave, { once: true });
    return controller.signal;
  }

  return {
    project: defaultProject,
    timeoutMs,
    get signal() {
      return signalOf();
    },
  };
}

/** What a run's headers say where the message says nothing: the way in for services that have no envelope. */
export function headersOf({ requestHeader }: HandlerContext): {
  requestId: string;
  revision: number;
  labels: Labels;
} {
  const revision = requestHeader.get("sigrun-revision") ?? "0";
  if (!/^\d{1,9}$/.test(revision))
    throw new Invalid("REQUEST_INVALID", [
      { field: "header sigrun-revision", description: "must be a whole number", reason: "type" },
    ]);
  const labels: Record<string, string> = {};
  requestHeader.forEach((value, name) => {
    if (name.startsWith("sigrun-label-")) labels[name.slice("sigrun-label-".length)] = value;
  });
  return { requestId: requestHeader.get("sigrun-request-id") ?? "", revision: Number(revision), labels };
}
