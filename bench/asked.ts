/**
 * Inputs for every contender. The load generator replaces the zeros by a new number for each call,
 * so that no two runs are the same.
 */
export const inputs = {
  question: "What is the capital of France? (asked as number 00000000)",
  context: "France is a country in Europe. Its largest city lies on the Seine. ".repeat(8).trim(),
};

/** Every correct answer contains this text. */
export const expected = "Paris, on the Seine";

/** The program that every contender serves. */
export const signature = "question, context -> answer, confidence: float, sources: list[str]";
