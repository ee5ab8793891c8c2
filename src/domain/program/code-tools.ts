import { isKeyword } from "../signature/fields.ts";
import type { Violations } from "../violations.ts";
import { readToolName } from "./tool-name.ts";

/**
 * The name by which code calls a tool: "weather.forecast" is weather_forecast, and
 * "weather.forecast as rain" is rain. The sidecar makes the same names.
 */
export function codeName(tool: string): string {
  const name = readToolName(tool).shown.replace(/[^A-Za-z0-9_]/gu, "_");
  return /^[0-9]/.test(name) || isKeyword(name) ? `_${name}` : name;
}

/** Names that DSPy keeps for itself in the code, besides those that a module adds. */
const kept = /^(_|__)dspy/;

/** Refuses tools whose names in code collide: with another tool, an input or the module's own. */
export function checkCodeNames(
  tools: readonly string[],
  inputs: readonly string[],
  added: readonly string[],
  v: Violations,
): void {
  const names = tools.map(codeName);
  for (const [index, name] of names.entries()) {
    const refuse = (what: string, reason: string) =>
      v.add(index, `is called ${name} in the code, which is ${what}; choose another tool`, reason);
    if (kept.test(name) || added.includes(name)) refuse("a name that the module needs itself", "reserved");
    else if (inputs.includes(name)) refuse("an input too", "conflict");
    else if (names.indexOf(name) < index && tools.indexOf(tools[index] ?? "") === index)
      refuse("the name of an earlier tool too", "conflict");
  }
}
