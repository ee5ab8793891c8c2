import { EventEmitter } from "node:events";
import type { Logger } from "../../telemetry.ts";

/** A part of one connection that can be ended alone: a socket, session, stream, request or response. */
type Owner = { destroy(): unknown };

/** Keeps a fault inside its connection: what a listener or timer throws is logged and destroys the part it belongs to. */
export type Boundary = {
  /**
   * Holds for every listener of the emitter, those of Node and Connect included. If a server's listener throws, the
   * connection, session, stream or request that it was given is destroyed.
   */
  contain(emitter: EventEmitter): void;
  after(owner: Owner, ms: number, work: () => void): NodeJS.Timeout;
  every(owner: Owner, ms: number, work: () => void): NodeJS.Timeout;
};

export function createBoundary(log: Logger): Boundary {
  function end(owner: Owner, err: unknown): void {
    log.error({ err }, "a connection failed in a way nobody foresaw and was ended");
    // Node throws later on if a session is destroyed in the turn that made it.
    setImmediate(() => owner.destroy());
  }

  // One function for all emitters, since a closure for each stream would cost more.
  function emit(this: EventEmitter, name: string | symbol, ...values: unknown[]): boolean {
    try {
      return EventEmitter.prototype.emit.call(this, name, ...values);
    } catch (error) {
      const owner = [this, ...values].find(isOwner);
      if (!owner) throw error;
      end(owner, error);
      return true;
    }
  }

  function run(owner: Owner, work: () => void): void {
    try {
      work();
    } catch (error) {
      end(owner, error);
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
