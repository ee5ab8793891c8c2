import { type Logger, pino } from "pino";

export type { Logger };

/** One JSON line an event on stderr, so that stdout stays for people. */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    pino.destination({ fd: 2, sync: true }),
  );
}
