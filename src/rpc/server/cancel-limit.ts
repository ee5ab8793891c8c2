/** Cancels of this many seconds may come at once: deadlines that expire together cancel so. */
const burstSeconds = 10;

/**
 * Counts the calls that a peer cancels. Returns false once there are more than `perSecond` allows
 * (a token bucket).
 */
export function createCancelLimit(perSecond: number): () => boolean {
  const maxTokens = perSecond * burstSeconds;
  let tokens = maxTokens;
  let countedAt = performance.now();
  return () => {
    const now = performance.now();
    tokens = Math.min(maxTokens, tokens + ((now - countedAt) / 1_000) * perSecond) - 1;
    countedAt = now;
    return tokens >= 0;
  };
}
