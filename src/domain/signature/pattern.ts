import { RE2JS } from "re2js";

/** Tests whole strings, in linear time; undefined if the pattern is not in RE2's syntax. */
export function compilePattern(pattern: string): ((text: string) => boolean) | undefined {
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matches(text);
  } catch {
    return undefined;
  }
}
