export type PeriodicJob = { stop(): Promise<void> };

/** Runs a job every `periodMs`, one run at a time; stop() waits for the run in progress. */
export function startPeriodicJob(
  periodMs: number,
  job: () => Promise<void>,
  onError: (error: unknown) => void,
): PeriodicJob {
  let running = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(job).catch(onError);
  }, periodMs);

  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
