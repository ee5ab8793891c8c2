import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "./telemetry.ts";

export type Supervised = {
  /** Sends the signal, waits, kills after the grace period, and does not restart the child. */
  stop(signal: NodeJS.Signals, graceMs: number): Promise<void>;
};

const minPauseMs = 100;
const maxPauseMs = 10_000;
/** After a child lived this long, the backoff is reset: the next restart is immediate. */
const stableMs = 30_000;

/** Keeps a child process alive: restarts it with backoff, and copies its stderr to the log. */
export function supervise(options: { name: string; start(): ChildProcess; log: Logger }): Supervised {
  const log = options.log.child({ process: options.name });
  const stopping = new AbortController();
  let child: ChildProcess;

  async function keepAlive(): Promise<void> {
    let pauseMs = 0;
    while (!stopping.signal.aborted) {
      const startedAt = Date.now();
      child = options.start();
      forward(child, log);
      const exit = await exitOf(child);
      if (stopping.signal.aborted) return;
      if (Date.now() - startedAt > stableMs) pauseMs = 0;
      log.warn({ ...exit, restartMs: pauseMs }, `${options.name} ended unexpectedly and is restarted`);
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
      pauseMs = Math.min(Math.max(pauseMs * 2, minPauseMs), maxPauseMs);
    }
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

type Exit = { code: number | null; signal: NodeJS.Signals | null; err?: Error };

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", (err) => resolve({ code: null, signal: null, err }));
  });
}

/** Logs each line of stderr. JSON log lines keep their level; other lines are warnings or debug. */
function forward(child: ChildProcess, log: Logger): void {
  if (!child.stderr) return;
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
    log[/\b(WARNING|ERROR|FATAL|PANIC|Traceback)\b/.test(line) ? "warn" : "debug"](line);
  });
}
