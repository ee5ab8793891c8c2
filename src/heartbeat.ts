const checkMs = 1_000;
/** A process that sends no heartbeat for this long hangs. */
const maxSilenceMs = 10_000;
/** A longer time between two checks means that this process itself did not run. */
const maxGapMs = 3_000;

export type Watch = {
  /** Notes a heartbeat. */
  beat(): void;
  stop(): void;
};

/**
 * Calls `onSilence` once, after 10 s without a heartbeat. Only time in which this process itself
 * ran counts: after a gap, as of a machine that slept, the silence is counted anew.
 */
export function watchHeartbeats(onSilence: () => void): Watch {
  let checkedAt = performance.now();
  let checkedWallAt = Date.now();
  let heardAt = checkedAt;
  const timer = setInterval(() => {
    const now = performance.now();
    const wallNow = Date.now();
    // The monotonic clock of Linux stands still while the machine sleeps.
    if (Math.max(now - checkedAt, wallNow - checkedWallAt) > maxGapMs) heardAt = now;
    checkedAt = now;
    checkedWallAt = wallNow;
    if (now - heardAt <= maxSilenceMs) return;
    clearInterval(timer);
    onSilence();
  }, checkMs);
  return {
    beat() {
      heardAt = performance.now();
    },
    stop: () => clearInterval(timer),
  };
}
