import type { Logger } from "./telemetry.ts";

/** EX_SOFTWARE of sysexits.h: the process ended itself after an error of its own and is to be started again. */
export const crashCode = 70;
/** Longer than a drain takes, since executions have 30 s and the sidecar 10 s more. */
const usualMaxDrainMs = 60_000;
/** What is thrown while the gateway drains is mostly one error over and over. */
const maxLogged = 100;

/**
 * An error that nobody caught, thrown or rejected, leaves nobody knows what half done. It is logged, and drain() is called for
 * the first one; the process ends with the crash code at the latest after a minute.
 */
export function drainOnCrash(log: Logger, drain: () => void, maxDrainMs = usualMaxDrainMs): void {
  let thrown = 0;
  const report = (err: unknown, message: string) => {
    try {
      log.fatal({ err }, message);
    } catch {
      // Nobody reads stderr any more; the drain goes on.
    }
  };
  process.on("uncaughtException", (error) => {
    thrown += 1;
    if (thrown <= maxLogged) report(error, "an error was not caught; the gateway drains and ends");
    if (thrown > 1) return;
    setTimeout(() => {
      report(undefined, "the gateway did not drain in time and ends at once");
      process.exit(crashCode);
    }, maxDrainMs);
    drain();
  });
}
