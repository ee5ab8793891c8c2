import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "./telemetry.ts";

export type Supervised = {
  /** Sends the signal, waits, kills after the grace period, and does not restart the child. */
  stop(signal: NodeJS.Signals, graceMs: number): Promise<void>;
};

const firstPauseMs = 100;
const longestPauseMs = 10_000;
/** After a life of this length, the backoff begins again: the next restart is immediate. */
const wellMs = 30_000;

/** Keeps a child process alive: restarts it with backoff. Its stderr goes to the gateway's log. */
export function supervise(options: { name: string; start(): ChildProcess; log: Logger }): Supervised {
  const log = options.log.child({ process: options.name });
  const stopping = new AbortController();
  let child: ChildProcess;

  async function keepAlive(): Promise<void> {
    let pauseMs = 0;
    while (!stopping.signal.aborted) {
      const began = Date.now();
      child = options.start();
      forward(child, log);
      const end = await exit(child);
      if (stopping.signal.aborted) return;
      if (Date.now() - began > wellMs) pauseMs = 0;
      log.warn({ ...end, restartMs: pauseMs }, `${options.name} ended by itself and is started again`);
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
      pauseMs = Math.min(Math.max(pauseMs * 2, firstPauseMs), longestPauseMs);
    }
  }
  const kept = keepAlive();

  return {
    async stop(signal, graceMs) {
      stopping.abort();
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await kept;
      clearTimeout(timer);
    },
  };
}

type End = { code: number | null; signal: NodeJS.Signals | null; err?: Error };

function exit(child: ChildProcess): Promise<End> {
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
