import { hash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Cancelled, Fault, SidecarUnavailable } from "../domain/faults.ts";
import type { Logger } from "../telemetry.ts";
import { NotStarted } from "./faults.ts";
import { createWorker, type SidecarInfo, type Worker } from "./worker.ts";

export type Call = {
  /** Calls with the same key go to the same worker while it is connected. */
  readonly key?: string | undefined;
  /** Ends the wait for a worker, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** False if the call may have effects: it is then sent to one worker alone. */
  readonly isRepeatable: boolean;
};

export type Workers = {
  /**
   * The handshake of a connected worker, with `workers` as the number of connected ones; undefined
   * if none is connected.
   */
  info(): SidecarInfo | undefined;
  /** The connected workers. */
  connected(): readonly Worker[];
  /**
   * Resolves when a worker is connected. Throws SidecarUnavailable after 20 s without one, or the
   * reason of the signal.
   */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Runs `attempt` on the least busy worker. While none is connected, waits for one as `ready`
   * does. If that worker dies before `attempt` calls `markEventCame()`, retries once on another
   * or on the one that replaces it, unless the call has effects.
   */
  call<T>(attempt: (worker: Worker, markEventCame: () => void) => Promise<T>, call: Call): Promise<T>;
  /** The same for a stream: its first event is the first item that `attempt` yields. */
  stream<T>(attempt: (worker: Worker) => AsyncGenerator<T>, call: Call): AsyncGenerator<T>;
  close(): void;
};

/** Maximum time that a call waits for a worker. A killed sidecar is back within 4 s. */
const maxWaitMs = 20_000;
/** Pause before a worker whose connection stands, but which did not answer, is asked again. */
const askAgainMs = 250;

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
  /** Wakes the calls that wait for a worker. */
  const waiting = new Set<() => void>();

  function onWorkerChange(): void {
    for (const wake of waiting) wake();
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

  /** A connected worker; `tried` holds the boot ids of processes that are left out. */
  function choose(tried: ReadonlySet<string>, key?: string): Worker | undefined {
    const isLeft = (worker: Worker) => {
      const info = worker.info();
      return info !== undefined && !tried.has(info.bootId);
    };
    const assigned =
      key === undefined ? undefined : workers[hash("sha1", key, "buffer").readUInt32LE() % workers.length];
    if (assigned && isLeft(assigned)) return assigned;
    const left = workers.filter(isLeft);
    const fewest = Math.min(...left.map((worker) => worker.callsInFlight()));
    // The first of them: it was probably used last, so that its caches are warm.
    return left.find((worker) => worker.callsInFlight() === fewest);
  }

  /** Resolves when a worker comes or goes, after a time, or when the signal aborts. */
  function change(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const woken = new AbortController();
    const wake = () => woken.abort();
    waiting.add(wake);
    const end = signal ? AbortSignal.any([woken.signal, signal]) : woken.signal;
    return sleep(ms, undefined, { signal: end })
      .catch(() => {})
      .finally(() => waiting.delete(wake));
  }

  /** Waits until `find` gives a worker, and asks it at each change, at least every `pollMs`. */
  async function waitFor(
    find: () => Promise<Worker | undefined> | Worker | undefined,
    { until, signal, pollMs }: { until: number; signal: AbortSignal | undefined; pollMs: number },
  ): Promise<Worker> {
    for (;;) {
      if (signal?.aborted) throw signal.reason instanceof Fault ? signal.reason : new Cancelled();
      const worker = await find();
      if (worker) return worker;
      const leftMs = until - performance.now();
      if (leftMs <= 0) throw new SidecarUnavailable();
      await change(Math.min(leftMs, pollMs), signal);
    }
  }

  /** Gives the workers that a call is tried on, one after another. */
  function attemptsOf({ key, signal, isRepeatable }: Call) {
    const tried = new Set<string>();
    let until = performance.now() + maxWaitMs;
    let wasLost = false;

    /** After a loss, other workers may be dead as well, though their connections still stand. */
    async function answering(): Promise<Worker | undefined> {
      const worker = choose(tried, key);
      return worker && (await worker.answers()) ? worker : undefined;
    }

    return {
      first: () =>
        choose(tried, key) ?? waitFor(() => choose(tried, key), { until, signal, pollMs: maxWaitMs }),
      /**
       * The worker for a retry, or throws the fault. A call that a worker has not begun may be
       * retried until the wait is over. After a loss there is only one retry, because the call
       * itself may be what kills workers.
       */
      async next(error: unknown, bootId: string | undefined, hasEventCome: boolean): Promise<Worker> {
        if (hasEventCome || !(error instanceof Fault) || error.reason !== "SIDECAR_UNAVAILABLE") throw error;
        const isNotStarted = error instanceof NotStarted;
        if (!isNotStarted && (wasLost || !isRepeatable)) throw error;
        if (!isNotStarted) {
          wasLost = true;
          until = performance.now() + maxWaitMs;
        }
        if (bootId !== undefined) tried.add(bootId);
        return waitFor(answering, { until, signal, pollMs: askAgainMs });
      },
    };
  }

  return {
    info() {
      const infos = connected().map((worker) => worker.info() as SidecarInfo);
      return infos[0] && { ...infos[0], workers: infos.length };
    },

    connected,

    async ready(signal) {
      if (connected().length > 0) return;
      const until = performance.now() + maxWaitMs;
      await waitFor(() => connected()[0], { until, signal, pollMs: maxWaitMs });
    },

    async call(attempt, call) {
      const attempts = attemptsOf(call);
      let hasEventCome = false;
      const markEventCame = () => {
        hasEventCome = true;
      };
      const first = attempts.first();
      for (let worker = first instanceof Promise ? await first : first; ; ) {
        const bootId = worker.info()?.bootId;
        try {
          return await attempt(worker, markEventCame);
        } catch (error) {
          worker = await attempts.next(error, bootId, hasEventCome);
        }
      }
    },

    async *stream(attempt, call) {
      const attempts = attemptsOf(call);
      const first = attempts.first();
      for (let worker = first instanceof Promise ? await first : first; ; ) {
        const bootId = worker.info()?.bootId;
        let hasEventCome = false;
        try {
          for await (const event of attempt(worker)) {
            hasEventCome = true;
            yield event;
          }
          return;
        } catch (error) {
          worker = await attempts.next(error, bootId, hasEventCome);
        }
      }
    },

    close() {
      for (const worker of workers) worker.close();
    },
  };
}
