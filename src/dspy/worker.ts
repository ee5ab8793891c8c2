import { setTimeout as sleep } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { SidecarUnavailable } from "../domain/faults.ts";
import { SidecarService } from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import { watchHeartbeats } from "../heartbeat.ts";
import type { Logger } from "../telemetry.ts";
import { type CallLimits, type Channel, createChannel } from "./channel.ts";
import { createSession, type Session } from "./session.ts";

/** What the sidecar says of itself in the handshake. */
export type SidecarInfo = {
  readonly dspyVersion: string;
  readonly defaultModel: string;
  readonly allowedModels: readonly string[];
  readonly workers: number;
  readonly bootId: string;
};

/** A connection to one of the sidecar's worker processes. */
export type Worker = Pick<Channel, "unary" | "stream" | "close"> &
  Pick<Session, "run"> & {
    readonly target: string;
    /** The answer to the last handshake; undefined while the worker is not connected. */
    info(): SidecarInfo | undefined;
    /** The number of calls in flight. */
    callsInFlight(): number;
    /** Asks the worker now, since the end of its connection may not be known yet. */
    answers(): Promise<boolean>;
  };

const tokenRefused =
  "the sidecar refuses this gateway's token, so that nothing can run; set SIGRUN_SIDECAR_TOKEN to the same value for both";
const handshakeTimeoutMs = 2_000;
const handshakeRetryMs = 100;
const heartbeatMs = 1_000;
/** A heartbeat has no time-out of its own: its watch gives up before. */
const heartbeatTimeoutMs = 60_000;

/**
 * Connects to the worker at a gRPC target, and makes a new handshake after each lost connection.
 * Heartbeat: the worker is asked every second. A worker that does not answer for 10 s loses its
 * calls, and is connected again when it answers.
 */
export function createWorker({
  target,
  token,
  log,
  onChange,
}: {
  target: string;
  token?: string | undefined;
  log: Logger;
  onChange(): void;
}): Worker {
  const channel = createChannel(target, token);
  const session = createSession(channel);
  let info: SidecarInfo | undefined;
  let callsInFlight = 0;
  let isClosed = false;
  let isRefused = false;
  /** Aborts when the worker is silent: ends the calls that it does not answer. */
  let silence = new AbortController();
  /** A question that callers share. */
  let asked: Promise<boolean> | undefined;

  const getInfo = (limits: CallLimits) => channel.unary(SidecarService.method.getInfo, {}, limits);

  async function keepConnected(): Promise<void> {
    while (!isClosed) {
      try {
        info = await getInfo({ timeoutMs: handshakeTimeoutMs });
        log.info(
          { target, dspy: info.dspyVersion, model: info.defaultModel },
          "a sidecar worker is connected",
        );
        onChange();
        await untilLost();
        info = undefined;
        if (isClosed) return;
        log.warn({ target }, "a sidecar worker is away");
        onChange();
      } catch (error) {
        if ((error as { code?: unknown }).code === status.UNAUTHENTICATED && !isRefused)
          log.error({ target }, tokenRefused);
        isRefused = (error as { code?: unknown }).code === status.UNAUTHENTICATED;
        log.debug({ target, err: error }, "no handshake with a sidecar worker; retrying");
        await sleep(handshakeRetryMs);
      }
    }
  }
  keepConnected();

  /** Resolves when the connection has ended, or when the worker has been silent for too long. */
  async function untilLost(): Promise<void> {
    silence = new AbortController();
    const { signal } = silence;
    const silent = Promise.withResolvers<void>();
    const watch = watchHeartbeats(() => {
      log.error({ target }, "a sidecar worker does not answer");
      info = undefined;
      silence.abort();
      session.close();
      silent.resolve();
    });
    let isLost = false;
    const ask = async () => {
      while (!isLost) {
        await getInfo({ timeoutMs: heartbeatTimeoutMs, signal }).then(watch.beat, () => {});
        await sleep(heartbeatMs);
      }
    };
    ask();
    await Promise.race([channel.disconnected(), silent.promise]);
    isLost = true;
    watch.stop();
  }

  async function countCall<T>(call: () => Promise<T>): Promise<T> {
    callsInFlight++;
    try {
      return await call();
    } finally {
      callsInFlight--;
    }
  }

  /** Limits that also end when the worker is silent, and the error that tells this end. */
  function endingOnSilence(limits: CallLimits) {
    const { signal: silent } = silence;
    return {
      limits: { ...limits, signal: AbortSignal.any([silent, ...(limits.signal ? [limits.signal] : [])]) },
      errorOf: (error: unknown) =>
        silent.aborted && !limits.signal?.aborted ? new SidecarUnavailable(undefined, error) : error,
    };
  }

  return {
    target,
    info: () => info,
    callsInFlight: () => callsInFlight,

    answers() {
      asked ??= getInfo({ timeoutMs: handshakeTimeoutMs })
        .then(
          () => info !== undefined,
          () => false,
        )
        .finally(() => {
          asked = undefined;
        });
      return asked;
    },

    unary: (method, request, callerLimits) =>
      countCall(async () => {
        const { limits, errorOf } = endingOnSilence(callerLimits);
        try {
          return await channel.unary(method, request, limits);
        } catch (error) {
          throw errorOf(error);
        }
      }),

    run: (request, onEvent, signal) => countCall(() => session.run(request, onEvent, signal)),

    async *stream(method, request, callerLimits) {
      callsInFlight++;
      const { limits, errorOf } = endingOnSilence(callerLimits);
      try {
        yield* channel.stream(method, request, limits);
      } catch (error) {
        throw errorOf(error);
      } finally {
        callsInFlight--;
      }
    },

    close() {
      isClosed = true;
      session.close();
      channel.close();
    },
  };
}
