import type { Logger } from "../../telemetry.ts";

const dropLogMs = 60_000;

/** Logs the connections that are closed at once, at most one line a minute. */
export function createDropLog(maxConnections: number, log: Logger): () => void {
  let dropped = 0;
  let loggedAt = Number.NEGATIVE_INFINITY;
  return () => {
    dropped += 1;
    if (performance.now() - loggedAt < dropLogMs) return;
    log.warn(
      { dropped },
      `connections are closed at once: ${maxConnections} are open, the maximum (SIGRUN_MAX_CONNECTIONS)`,
    );
    dropped = 0;
    loggedAt = performance.now();
  };
}
