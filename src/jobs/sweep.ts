import type { Leases } from "../store/leases.ts";
import type { Logger } from "../telemetry.ts";

/** A third of the lease, so that two renewals may fail. A dead gateway's runs are found within lease and period: 20 s. */
const periodMs = 5_000;

/** Keeps this gateway's lease and ends what dead gateways left running; stop() gives the lease back. */
export async function startSweep({
  leases,
  log,
}: {
  leases: Leases;
  log: Logger;
}): Promise<{ stop(): Promise<void> }> {
  async function beat(): Promise<void> {
    await leases.renew();
    const interrupted = await leases.sweep();
    if (interrupted.length > 0)
      log.warn({ executions: interrupted }, "recorded as interrupted: the process that ran them died");
  }

  await beat();
  let beating = Promise.resolve();
  const timer = setInterval(() => {
    beating = beating
      .then(beat)
      .catch((error: unknown) => log.warn({ err: error }, "the lease could not be renewed; trying again"));
  }, periodMs);

  return {
    async stop() {
      clearInterval(timer);
      await beating;
      await leases
        .release()
        .catch((error: unknown) =>
          log.warn({ err: error }, "the lease could not be given back; it runs out by itself"),
        );
    },
  };
}
