/**
 * Polls until there is an answer, and returns it; only the test's own time-out ends the wait. An
 * expensive question is asked less often.
 */
export async function until<T>(
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  everyMs = 25,
): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
