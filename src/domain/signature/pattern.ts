import { RE2JS } from "re2js";

/** Maximum number of steps of a compiled pattern: x{1000} has a thousand. */
export const maxPatternSteps = 5_000;
/** Maximum of steps times characters. re2js takes 0.01 to 0.1 us for each, on the event loop. */
const maxWork = 4_000_000;

export type Pattern = {
  readonly steps: number;
  /** Maximum length of a text that is matched, in UTF-16 units. */
  readonly maxCharacters: number;
  /** Tests a whole string, in linear time. */
  matches(text: string): boolean;
};

/** Undefined if the pattern is not in RE2's syntax. */
export function compilePattern(pattern: string): Pattern | undefined {
  try {
    const compiled = RE2JS.compile(pattern);
    const steps = compiled.programSize();
    return {
      steps,
      maxCharacters: Math.floor(maxWork / steps),
      matches: (text) => compiled.matches(text),
    };
  } catch {
    return undefined;
  }
}
