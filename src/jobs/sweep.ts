import type { Leases } from "../store/leases.ts";
import type { Logger } from "../telemetry.ts";
import { type PeriodicJob, startPeriodicJob } from "./periodic.ts";

/**
 * A third of the lease, so that the lease survives two failed renewals.
 * The runs of a dead gateway are found within the lease and one period: 20 s.
 */
const periodMs = 5_000;
/** A longer pause was an outage, or this process stood still: others may have had the same. */
const maxPauseMs = 2 * periodMs;

/** Renews this gateway's lease and ends the runs of dead gateways; stop() releases the lease. */
export async function startSweep({ leases, log }: { leases: Leases; log: Logger }): Promise<PeriodicJob> {
  let sweptAt = performance.now();

  async function sweep(): Promise<void> {
    try {
      await leases.renew();
      if (performance.now() - sweptAt > maxPauseMs) leases.forget();
      await leases.expire();
      const interrupted = await leases.sweep();
      if (interrupted.length > 0)
        log.warn({ executions: interrupted }, "recorded executions of a dead gateway as interrupted");
      sweptAt = performance.now();
    } catch (error) {
      leases.forget();
      throw error;
    }
  }

  await sweep();
  const job = startPeriodicJob(periodMs, sweep, (error) =>
    log.warn({ err: error }, `failed to renew the lease; next attempt in ${periodMs / 1000} s`),
  );
  return {
    async stop() {
      await job.stop();
      await leases
        .release()
        .catch((error: unknown) =>
          log.warn({ err: error }, "failed to release the lease; it expires by itself"),
        );
    },
  };
}
