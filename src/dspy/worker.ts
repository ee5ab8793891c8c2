import { SidecarService } from "../gen/sigrun/sidecar/v1/sidecar_service_pb.ts";
import type { Logger } from "../telemetry.ts";
import { type Channel, createChannel } from "./channel.ts";
import { createSession, type Session } from "./session.ts";

/** What the sidecar said of itself in the handshake. */
export type SidecarInfo = {
  readonly dspyVersion: string;
  readonly defaultModel: string;
  readonly allowedModels: readonly string[];
  readonly workers: number;
  readonly bootId: string;
};

/** One of the sidecar's processes. */
export type Worker = Pick<Channel, "unary" | "stream" | "close"> &
  Pick<Session, "run"> & {
    readonly target: string;
    /** What its last handshake said; undefined while it is away. */
    info(): SidecarInfo | undefined;
    /** How many calls it has now. */
    busy(): number;
  };

const handshakeTimeoutMs = 2_000;
const handshakeRetryMs = 100;

/** Talks to the worker at a gRPC target, and keeps shaking hands with it whenever it was away. */
export function createWorker({
  target,
  log,
  onChange,
}: {
  target: string;
  log: Logger;
  onChange(): void;
}): Worker {
  const channel = createChannel(target);
  const session = createSession(channel);
  let info: SidecarInfo | undefined;
  let busy = 0;
  let closed = false;

  async function keepInTouch(): Promise<void> {
    while (!closed) {
      try {
        info = await channel.unary(SidecarService.method.getInfo, {}, { timeoutMs: handshakeTimeoutMs });
        log.info({ target, dspy: info.dspyVersion, model: info.defaultModel }, "a sidecar worker is here");
        onChange();
        await channel.disconnected();
        info = undefined;
        if (closed) return;
        log.warn({ target }, "a sidecar worker is away");
        onChange();
      } catch (error) {
        log.debug({ target, err: error }, "no handshake with the sidecar worker yet");
        await new Promise((resolve) => setTimeout(resolve, handshakeRetryMs));
      }
    }
  }
  keepInTouch();

  async function counted<T>(call: () => Promise<T>): Promise<T> {
    busy++;
    try {
      return await call();
    } finally {
      busy--;
    }
  }

  return {
    target,
    info: () => info,
    busy: () => busy,

    unary: (method, request, limits) => counted(() => channel.unary(method, request, limits)),
    run: (asked, onTold, limits) => counted(() => session.run(asked, onTold, limits)),

    async *stream(method, request, limits) {
      busy++;
      try {
        yield* channel.stream(method, request, limits);
      } finally {
        busy--;
      }
    },

    close() {
      closed = true;
      session.close();
      channel.close();
    },
  };
}
