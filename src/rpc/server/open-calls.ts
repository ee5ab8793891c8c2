import type { DescMethod } from "@bufbuild/protobuf";
import { Cancelled, DeadlineExceeded, type Fault, Stopping } from "../../domain/faults.ts";
import { defaultTimeoutOf, maxTimeoutMs } from "../caller.ts";
import type { Boundary, Owner } from "./boundary.ts";

/**
 * Time that a method gets to answer after its signal has aborted, so that the caller learns which
 * record the run has. After it the caller is answered, even if the database is silent.
 */
const graceMs = 250;
/**
 * Maximum time between the caller's deadline and ours. Its timer starts when it sends the call, and
 * ours when the headers arrive. So a caller that leaves within this time before our deadline has
 * reached its own: the run's record says DEADLINE_EXCEEDED, and not CANCELLED.
 */
const transitMs = 50;

/** Maximum time for a whole request, from its headers on; a stream in both directions has none. */
const maxRequestMs = 60_000;
const requestLate = `the request was not complete after ${maxRequestMs / 1_000} s`;

/** Shared by all calls, because the stack trace of a new error costs more than reading a row. */
const callEndedFault = new Cancelled();

export type OpenCall = {
  /** Aborts with the fault that ends the call. It is made when it is first read. */
  readonly signal: AbortSignal;
  /** The whole request is there; until then the call also ends after `maxRequestMs`. */
  received(): void;
  /** Ends the call if it was not answered: its caller has hung up. */
  leave(): void;
  /** The call is answered. Must be called before the answer is sent. */
  close(): void;
};

/** The open calls of both servers, Connect's and unary gRPC's. */
export type OpenCalls = {
  /**
   * Opens a call whose headers have arrived. Its signal aborts at its deadline, or if its request
   * is late; `onOverdue` is called if the call is still open `graceMs` later, and must answer it.
   */
  open(start: {
    owner: Owner;
    method: DescMethod;
    /** Undefined if the caller set no time-out. */
    timeoutMs: number | undefined;
    onOverdue(fault: Fault): void;
  }): OpenCall;
  /** Ends all calls that have no default deadline, and refuses further ones. */
  endWatches(): void;
  /** Ends all calls, and refuses further ones. */
  endAll(): void;
};

export function createOpenCalls(boundary: Boundary): OpenCalls {
  type Ending = { isWatch: boolean; end(fault: Fault): void };
  const calls = new Set<Ending>();
  let areWatchesRefused = false;
  let areAllRefused = false;

  const endIf = (isChosen: (call: Ending) => boolean) => {
    const fault = new Stopping();
    for (const call of calls) if (isChosen(call)) call.end(fault);
  };

  return {
    open({ owner, method, timeoutMs: callersMs, onOverdue }) {
      const defaultMs = defaultTimeoutOf(method);
      const timeoutMs = callersMs === undefined ? defaultMs : Math.min(callersMs, maxTimeoutMs);
      const deadline = performance.now() + timeoutMs;
      // The requests of a stream in both directions may come as long as it is open.
      const requestMs = method.methodKind === "bidi_streaming" ? Number.POSITIVE_INFINITY : maxRequestMs;
      let controller: AbortController | undefined;
      let reason: Fault | undefined;
      let timer = requestMs < timeoutMs ? endAfter(requestMs, requestLate) : endAfter(timeoutMs);

      function endAfter(ms: number, why?: string): NodeJS.Timeout | undefined {
        if (Number.isFinite(ms)) return boundary.after(owner, ms, () => end(new DeadlineExceeded(why)));
      }

      function stop(fault: Fault): void {
        clearTimeout(timer);
        reason ??= fault;
        controller?.abort(reason);
      }
      function end(fault: Fault): void {
        if (reason) return;
        stop(fault);
        timer = boundary.after(owner, graceMs, () => {
          close();
          onOverdue(fault);
        });
      }
      function close(fault = callEndedFault): void {
        calls.delete(call);
        stop(fault);
      }

      const call: Ending = { isWatch: defaultMs === Number.POSITIVE_INFINITY, end };
      calls.add(call);
      if (areAllRefused || (areWatchesRefused && call.isWatch)) end(new Stopping());
      return {
        get signal() {
          if (controller) return controller.signal;
          controller = new AbortController();
          if (reason) controller.abort(reason);
          return controller.signal;
        },
        received() {
          // Most calls have an earlier deadline, whose timer runs already.
          if (reason || requestMs >= timeoutMs) return;
          clearTimeout(timer);
          timer = endAfter(deadline - performance.now());
        },
        leave() {
          const hasReachedDeadline = deadline - performance.now() <= transitMs;
          close(hasReachedDeadline ? new DeadlineExceeded() : callEndedFault);
        },
        close: () => close(),
      };
    },
    endWatches() {
      areWatchesRefused = true;
      endIf(({ isWatch }) => isWatch);
    },
    endAll() {
      areAllRefused = true;
      endIf(() => true);
    },
  };
}
