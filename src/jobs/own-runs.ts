import type { OwnRuns } from "../store/executions/own-runs.ts";
import type { Logger } from "../telemetry.ts";
import { type PeriodicJob, startPeriodicJob } from "./periodic.ts";

const periodMs = 5_000;

type Options = {
  ownRuns: OwnRuns;
  /** True if this gateway runs it, or still writes its start or end. */
  isAlive(id: string): boolean;
  log: Logger;
};

/**
 * Ends the runs that are on record as running here, and are not. One may be left by a start whose
 * commit came after its connection was given up. A run is ended if two periods find it so, because
 * a start or an end may be under way.
 */
export function startOwnRuns({ ownRuns, isAlive, log }: Options): PeriodicJob {
  let suspects = new Set<string>();

  async function end(): Promise<void> {
    const lost = (await ownRuns.running()).filter((id) => !isAlive(id));
    const twice = lost.filter((id) => suspects.has(id));
    suspects = new Set(lost);
    if (twice.length === 0) return;
    const executions = await ownRuns.interrupt(twice);
    log.warn({ executions }, "recorded executions as interrupted that this gateway has lost");
  }

  return startPeriodicJob(periodMs, end, (error) =>
    log.warn({ err: error }, `failed to look for lost executions; next attempt in ${periodMs / 1000} s`),
  );
}
