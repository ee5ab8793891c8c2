import { status } from "@grpc/grpc-js";
import { SidecarService } from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import type { Logger } from "../telemetry.ts";
import { type Channel, createChannel } from "./channel.ts";
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
  };

const tokenRefused =
  "the sidecar refuses this gateway's token, so that nothing can run; set SIGRUN_SIDECAR_TOKEN to the same value for both";
const handshakeTimeoutMs = 2_000;
const handshakeRetryMs = 100;

/**
 * Connects to the worker at a gRPC target, and makes a new handshake after each lost connection.
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

  async function keepConnected(): Promise<void> {
    while (!isClosed) {
      try {
        info = await channel.unary(SidecarService.method.getInfo, {}, { timeoutMs: handshakeTimeoutMs });
        log.info(
          { target, dspy: info.dspyVersion, model: info.defaultModel },
          "a sidecar worker is connected",
        );
        onChange();
        await channel.disconnected();
        info = undefined;
        if (isClosed) return;
        log.warn({ target }, "a sidecar worker is away");
        onChange();
      } catch (error) {
        if ((error as { code?: unknown }).code === status.UNAUTHENTICATED && !isRefused)
          log.error({ target }, tokenRefused);
        isRefused = (error as { code?: unknown }).code === status.UNAUTHENTICATED;
        log.debug({ target, err: error }, "no handshake with a sidecar worker; retrying");
        await new Promise((resolve) => setTimeout(resolve, handshakeRetryMs));
      }
    }
  }
  keepConnected();

  async function countCall<T>(call: () => Promise<T>): Promise<T> {
    callsInFlight++;
    try {
      return await call();
    } finally {
      callsInFlight--;
    }
  }

  return {
    target,
    info: () => info,
    callsInFlight: () => callsInFlight,

    unary: (method, request, limits) => countCall(() => channel.unary(method, request, limits)),
    run: (request, onEvent, signal) => countCall(() => session.run(request, onEvent, signal)),

    async *stream(method, request, limits) {
      callsInFlight++;
      try {
        yield* channel.stream(method, request, limits);
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
