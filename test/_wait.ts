/** Longer than any process takes to start on a busy machine. */
const maxMs = 140_000;

/**
 * Polls until there is an answer, and returns it. Throws after 140 s, with the question, so that a
 * test that waits in vain says for what. An expensive question is asked less often.
 */
export async function until<T>(
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  everyMs = 25,
): Promise<T> {
  for (const end = Date.now() + maxMs; Date.now() < end; ) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  throw new Error(`waited ${maxMs / 1000} s for ${ask}`);
}
