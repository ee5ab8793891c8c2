import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type Watch, watchHeartbeats } from "./heartbeat.ts";
import type { Logger } from "./telemetry.ts";

export type Supervised = {
  /** Sends the signal, waits, kills after the grace period, and does not restart the child. */
  stop(signal: NodeJS.Signals, graceMs: number): Promise<void>;
};

const minPauseMs = 100;
const maxPauseMs = 10_000;
/** After a child lived this long, the backoff is reset: the next restart is immediate. */
const stableMs = 30_000;
/** Time that a child which hangs gets to write its stack to stderr. */
const stackMs = 500;

type Options = {
  name: string;
  start(): ChildProcess;
  log: Logger;
  /**
   * The number of the child's pipe that carries heartbeats, a byte every second. A child that
   * hangs writes its stack on SIGUSR1, and is killed. Undefined for a child that sends none.
   */
  heartbeats?: number;
};

/** Keeps a child process alive: restarts it with backoff, and copies its stderr to the log. */
export function supervise(options: Options): Supervised {
  const log = options.log.child({ process: options.name });
  const stopping = new AbortController();
  let child: ChildProcess;

  async function keepAlive(): Promise<void> {
    let pauseMs = 0;
    while (!stopping.signal.aborted) {
      const startedAt = Date.now();
      child = options.start();
      const stderr = forward(child, log);
      const endWatch = watch(child, stderr);
      const exit = await exitOf(child);
      endWatch();
      if (stopping.signal.aborted) return;
      if (Date.now() - startedAt > stableMs) pauseMs = 0;
      log.warn({ ...exit, restartMs: pauseMs }, `${options.name} ended unexpectedly and is restarted`);
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
      pauseMs = Math.min(Math.max(pauseMs * 2, minPauseMs), maxPauseMs);
    }
  }

  /** Kills the child if it hangs. Returns what ends the watch. */
  function watch(watched: ChildProcess, stderr: Stderr): () => void {
    const pipe = options.heartbeats === undefined ? undefined : watched.stdio[options.heartbeats];
    if (!pipe) return () => {};
    const heartbeats = watchHeartbeats(async () => {
      if (stopping.signal.aborted) return;
      const collected = stderr.collect();
      watched.kill("SIGUSR1");
      await sleep(stackMs);
      log.error({ stack: collected().join("\n") }, `${options.name} hangs and is killed`);
      watched.kill("SIGKILL");
    });
    beatWith(pipe as Readable, heartbeats).catch(() => {});
    return heartbeats.stop;
  }
  const supervision = keepAlive();

  return {
    async stop(signal, graceMs) {
      stopping.abort();
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await supervision;
      clearTimeout(timer);
    },
  };
}

/** Each read of the pipe is a heartbeat. */
async function beatWith(pipe: Readable, { beat }: Watch): Promise<void> {
  for await (const _ of pipe) beat();
}

type Exit = { code: number | null; signal: NodeJS.Signals | null; err?: Error };

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", (err) => resolve({ code: null, signal: null, err }));
  });
}

type Stderr = {
  /** Collects plain lines instead of logging them, until the returned function is called. */
  collect(): () => string[];
};

/** Logs each line of stderr. JSON log lines keep their level; other lines are warnings or debug. */
function forward(child: ChildProcess, log: Logger): Stderr {
  let collected: string[] | undefined;
  if (child.stderr)
    createInterface(child.stderr).on("line", (line) => {
      try {
        const {
          level,
          time: _,
          msg,
          ...rest
        } = JSON.parse(line) as { level: string; time?: string; msg: string };
        if (level === "error" || level === "warn" || level === "info" || level === "debug")
          return log[level](rest, msg);
      } catch {
        // The line is plain text.
      }
      if (collected) collected.push(line);
      else log[/\b(WARNING|ERROR|FATAL|PANIC|Traceback)\b/.test(line) ? "warn" : "debug"](line);
    });
  return {
    collect() {
      const lines: string[] = [];
      collected = lines;
      return () => {
        collected = undefined;
        return lines;
      };
    },
  };
}
