import { createHash } from "node:crypto";

/** One example in this many is held out. */
const heldOutOneIn = 4;

/**
 * Holds out a quarter of the examples, rounded up, to score on: those whose SHA-256 of "seed:index"
 * sorts first. The same seed holds out the same examples, in every language.
 */
export function splitExamples<Example>(
  examples: readonly Example[],
  seed: number,
): { trainset: Example[]; valset: Example[] } {
  const ranked = examples
    .map((_, index) => ({ index, rank: createHash("sha256").update(`${seed}:${index}`).digest("hex") }))
    .sort((one, other) => (one.rank < other.rank ? -1 : 1));
  const held = new Set(ranked.slice(0, Math.ceil(examples.length / heldOutOneIn)).map(({ index }) => index));
  return {
    trainset: examples.filter((_, index) => !held.has(index)),
    valset: examples.filter((_, index) => held.has(index)),
  };
}
