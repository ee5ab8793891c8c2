import { EventEmitter } from "node:events";
import type { Logger } from "../../telemetry.ts";

/**
 * A part of one connection that can be ended alone: a socket, session, stream, request or response.
 */
export type Owner = { destroy(): unknown };

/**
 * Keeps an unexpected error inside its connection: the error is logged, and its owner is destroyed.
 */
export type Boundary = {
  /**
   * Covers every listener of the emitter, those of Node and Connect included. If a listener throws,
   * the emitter is destroyed; if it is a server, the connection, stream or request that the
   * listener got.
   */
  contain(emitter: EventEmitter): void;
  /** setTimeout whose callback destroys the owner if it throws. */
  after(owner: Owner, ms: number, work: () => void): NodeJS.Timeout;
  /** setInterval whose callback destroys the owner if it throws. */
  every(owner: Owner, ms: number, work: () => void): NodeJS.Timeout;
};

export function createBoundary(log: Logger): Boundary {
  function destroy(owner: Owner, err: unknown): void {
    log.error({ err }, "an unexpected error ended a connection");
    // Node throws later if a session is destroyed in the turn that created it.
    setImmediate(() => owner.destroy());
  }

  // One function for all emitters, because a closure for each stream would cost more.
  function emit(this: EventEmitter, name: string | symbol, ...values: unknown[]): boolean {
    try {
      return EventEmitter.prototype.emit.call(this, name, ...values);
    } catch (error) {
      const owner = [this, ...values].find(isOwner);
      if (!owner) throw error;
      destroy(owner, error);
      return true;
    }
  }

  function run(owner: Owner, work: () => void): void {
    try {
      work();
    } catch (error) {
      destroy(owner, error);
    }
  }

  return {
    contain(emitter) {
      emitter.emit = emit;
    },
    after: (owner, ms, work) => setTimeout(run, ms, owner, work),
    every: (owner, ms, work) => setInterval(run, ms, owner, work),
  };
}

const isOwner = (value: unknown): value is Owner =>
  typeof (value as Partial<Owner> | undefined)?.destroy === "function";
