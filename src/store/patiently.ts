/** Work that takes longer than this has no more influence on the work behind it. */
const patienceMs = 1_000;

/** Resolves when the work has ended, well or not, or hangs. */
export function patiently(work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patienceMs);
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    work.then(end, end);
  });
}
