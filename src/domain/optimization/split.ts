import { createHash } from "node:crypto";

/** One in so many examples is held out. */
const part = 4;

/**
 * Holds out a quarter of the examples, rounded up, for the scores: those whose SHA-256 of "seed:index" come first.
 * So the same seed holds out the same ones, in every language.
 */
export function splitExamples<Example>(
  examples: readonly Example[],
  seed: number,
): { trainset: Example[]; valset: Example[] } {
  const ranked = examples
    .map((_, index) => ({ index, rank: createHash("sha256").update(`${seed}:${index}`).digest("hex") }))
    .sort((one, other) => (one.rank < other.rank ? -1 : 1));
  const held = new Set(ranked.slice(0, Math.ceil(examples.length / part)).map(({ index }) => index));
  return {
    trainset: examples.filter((_, index) => !held.has(index)),
    valset: examples.filter((_, index) => held.has(index)),
  };
}
