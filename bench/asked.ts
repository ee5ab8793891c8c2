/** What every contender is asked; the load generator puts a new number in place of the zeros each time, so that no two runs are alike. */
export const inputs = {
  question: "What is the capital of France? (asked as number 00000000)",
  context: "France is a country in Europe. Its largest city lies on the Seine. ".repeat(8).trim(),
};

/** What every right answer has in it, whatever it is wrapped in. */
export const expected = "Paris, on the Seine";

/** The program that every contender serves. */
export const signature = "question, context -> answer, confidence: float, sources: list[str]";
