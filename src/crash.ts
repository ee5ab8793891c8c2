import type { Logger } from "./telemetry.ts";

/** Exit code after an uncaught error, which asks for a restart: EX_SOFTWARE of sysexits.h. */
export const crashCode = 70;
/** Maximum of the drain after an uncaught error, whatever SIGRUN_DRAIN says. */
export const maxCrashDrainMs = 50_000;
/** Longer than that drain: only a process whose event loop hangs, or starts again, comes to it. */
const defaultMaxDrainMs = 60_000;
/** Errors during the drain are mostly one error, again and again. */
const maxLogged = 100;

/**
 * After an uncaught error, the state of the process is unknown. Each such error is
 * logged, and the first one calls drain(). The process ends with the crash code after at most a
 * minute.
 */
export function drainOnCrash(log: Logger, drain: () => void, maxDrainMs = defaultMaxDrainMs): void {
  let thrown = 0;
  const report = (err: unknown, message: string) => {
    try {
      log.fatal({ err }, message);
    } catch {
      // stderr is closed; the drain goes on.
    }
  };
  process.on("uncaughtException", (error) => {
    thrown += 1;
    if (thrown <= maxLogged) report(error, `uncaught error; the gateway drains and exits with ${crashCode}`);
    if (thrown > 1) return;
    setTimeout(() => {
      report(undefined, "the gateway did not drain in time and exits at once");
      process.exit(crashCode);
    }, maxDrainMs);
    drain();
  });
}
