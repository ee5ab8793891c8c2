import { hash } from "node:crypto";
import { Fault, SidecarUnavailable } from "../domain/faults.ts";
import type { Logger } from "../telemetry.ts";
import { createWorker, type SidecarInfo, type Worker } from "./worker.ts";

export type Workers = {
  /**
   * What one of those that are here said of itself, and how many of them are here; undefined while
   * all are away.
   */
  info(): SidecarInfo | undefined;
  /** Those that are here. */
  here(): readonly Worker[];
  /**
   * Asks one of them, and another where that one is lost before anything was handed on, which the
   * attempt says. SidecarUnavailable where none is here. Calls with one key go to the same worker
   * while it is here.
   */
  call<T>(attempt: (worker: Worker, handsOn: () => void) => Promise<T>, key?: string): Promise<T>;
  /** The same; what the attempt yields was handed on. */
  stream<T>(attempt: (worker: Worker) => AsyncGenerator<T>): AsyncGenerator<T>;
  close(): void;
};

/**
 * The sidecar's workers, over which calls are balanced, and not connections: each call goes to the
 * one that has the fewest.
 */
export function createWorkers(options: {
  targets: readonly string[];
  log: Logger;
  onChange(up: boolean): void;
}): Workers {
  const { targets, log, onChange } = options;
  let up = false;

  function onWorkerChange(): void {
    const now = here().length > 0;
    if (now === up) return;
    up = now;
    if (!up) log.warn("the sidecar is away");
    const there = here()[0]?.info()?.workers ?? 0;
    if (there > targets.length)
      log.warn({ workers: there, targets }, "the sidecar has workers that SIGRUN_SIDECAR does not name");
    onChange(up);
  }

  const workers = targets.map((target) => createWorker({ target, log, onChange: onWorkerChange }));
  const here = () => workers.filter((worker) => worker.info());

  function pick(tried: ReadonlySet<Worker>): Worker | undefined {
    const left = here().filter((worker) => !tried.has(worker));
    // Of those that have the fewest the first: whoever ran a moment ago has all at hand.
    const least = Math.min(...left.map((worker) => worker.busy()));
    return left.find((worker) => worker.busy() === least);
  }

  /**
   * The next worker after a fault, or the fault again: once, since it may be the call that ends
   * workers.
   */
  function afterFault(error: unknown, tried: ReadonlySet<Worker>): Worker {
    const isLost = error instanceof Fault && error.reason === "SIDECAR_UNAVAILABLE";
    const next = isLost && tried.size === 1 ? pick(tried) : undefined;
    if (!next) throw error;
    return next;
  }

  function first(key?: string): Worker {
    const own =
      key === undefined ? undefined : workers[hash("sha1", key, "buffer").readUInt32LE() % workers.length];
    const worker = own?.info() ? own : pick(new Set());
    if (!worker) throw new SidecarUnavailable();
    return worker;
  }

  return {
    info() {
      const infos = here().map((worker) => worker.info() as SidecarInfo);
      return infos[0] && { ...infos[0], workers: infos.length };
    },

    here,

    async call(attempt, key) {
      const tried = new Set<Worker>();
      let begun = false;
      const handsOn = () => {
        begun = true;
      };
      for (let worker = first(key); ; ) {
        try {
          return await attempt(worker, handsOn);
        } catch (error) {
          // What was handed on can't be taken back, nor can a caller's own fault be made good
          // elsewhere.
          if (begun) throw error;
          worker = afterFault(error, tried.add(worker));
        }
      }
    },

    async *stream(attempt) {
      const tried = new Set<Worker>();
      for (let worker = first(); ; ) {
        let begun = false;
        try {
          for await (const event of attempt(worker)) {
            begun = true;
            yield event;
          }
          return;
        } catch (error) {
          if (begun) throw error;
          worker = afterFault(error, tried.add(worker));
        }
      }
    },

    close() {
      for (const worker of workers) worker.close();
    },
  };
}
