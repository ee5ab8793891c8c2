import { RE2JS } from "re2js";

/** A test whether a whole string matches; undefined where the pattern is not RE2's syntax. Linear in the string's length. */
export function compilePattern(pattern: string): ((text: string) => boolean) | undefined {
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matches(text);
  } catch {
    return undefined;
  }
}
