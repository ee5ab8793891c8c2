import { hash } from "node:crypto";
import { Fault, SidecarUnavailable } from "../domain/faults.ts";
import type { Logger } from "../telemetry.ts";
import { createWorker, type SidecarInfo, type Worker } from "./worker.ts";

export type Workers = {
  /**
   * The handshake of a connected worker, with `workers` as the number of connected ones; undefined
   * if none is connected.
   */
  info(): SidecarInfo | undefined;
  /** The connected workers. */
  connected(): readonly Worker[];
  /**
   * Runs `attempt` on the least busy worker. If that worker dies before `attempt` calls
   * `markAnswerStarted()`, retries once on another. Throws SidecarUnavailable if no worker is
   * connected. Calls with the same key go to the same worker while it is connected.
   */
  call<T>(attempt: (worker: Worker, markAnswerStarted: () => void) => Promise<T>, key?: string): Promise<T>;
  /** The same for a stream: its answer starts with the first item that `attempt` yields. */
  stream<T>(attempt: (worker: Worker) => AsyncGenerator<T>): AsyncGenerator<T>;
  close(): void;
};

/**
 * The sidecar's workers, each at an address of its own, so that each call can go to the least busy
 * one. A balancer of gRPC would spread connections: all runs of a worker share one connection.
 */
export function createWorkers(options: {
  targets: readonly string[];
  token?: string | undefined;
  log: Logger;
  onChange(isAvailable: boolean): void;
}): Workers {
  const { targets, token, log, onChange } = options;
  let isAvailable = false;

  function onWorkerChange(): void {
    const isNow = connected().length > 0;
    if (isNow === isAvailable) return;
    isAvailable = isNow;
    if (!isAvailable) log.warn("the sidecar is away");
    const started = connected()[0]?.info()?.workers ?? 0;
    if (started > targets.length)
      log.warn({ workers: started, targets }, "the sidecar has workers that SIGRUN_SIDECAR does not name");
    onChange(isAvailable);
  }

  const workers = targets.map((target) => createWorker({ target, token, log, onChange: onWorkerChange }));
  const connected = () => workers.filter((worker) => worker.info());

  function leastBusy(tried: ReadonlySet<Worker>): Worker | undefined {
    const left = connected().filter((worker) => !tried.has(worker));
    const fewest = Math.min(...left.map((worker) => worker.callsInFlight()));
    // The first of them: it was probably used last, so that its caches are warm.
    return left.find((worker) => worker.callsInFlight() === fewest);
  }

  /**
   * Retry after a worker died: gives another worker, or throws the fault. There is only one retry,
   * because the call itself may be what kills workers.
   */
  function workerForRetry(error: unknown, tried: ReadonlySet<Worker>): Worker {
    const isLost = error instanceof Fault && error.reason === "SIDECAR_UNAVAILABLE";
    const next = isLost && tried.size === 1 ? leastBusy(tried) : undefined;
    if (!next) throw error;
    return next;
  }

  function workerFor(key?: string): Worker {
    const assigned =
      key === undefined ? undefined : workers[hash("sha1", key, "buffer").readUInt32LE() % workers.length];
    const worker = assigned?.info() ? assigned : leastBusy(new Set());
    if (!worker) throw new SidecarUnavailable();
    return worker;
  }

  return {
    info() {
      const infos = connected().map((worker) => worker.info() as SidecarInfo);
      return infos[0] && { ...infos[0], workers: infos.length };
    },

    connected,

    async call(attempt, key) {
      const tried = new Set<Worker>();
      let hasAnswerStarted = false;
      const markAnswerStarted = () => {
        hasAnswerStarted = true;
      };
      for (let worker = workerFor(key); ; ) {
        try {
          return await attempt(worker, markAnswerStarted);
        } catch (error) {
          if (hasAnswerStarted) throw error;
          worker = workerForRetry(error, tried.add(worker));
        }
      }
    },

    async *stream(attempt) {
      const tried = new Set<Worker>();
      for (let worker = workerFor(); ; ) {
        let hasAnswerStarted = false;
        try {
          for await (const event of attempt(worker)) {
            hasAnswerStarted = true;
            yield event;
          }
          return;
        } catch (error) {
          if (hasAnswerStarted) throw error;
          worker = workerForRetry(error, tried.add(worker));
        }
      }
    },

    close() {
      for (const worker of workers) worker.close();
    },
  };
}
