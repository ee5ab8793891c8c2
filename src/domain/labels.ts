import { isLonger, maxCharacters, maxElements } from "./bounds.ts";
import { textFault } from "./json.ts";
import type { Violations } from "./violations.ts";

export type Labels = Readonly<Record<string, string>>;

const keys = /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/;
const maxLabels = maxElements.labels;
const maxValue = maxCharacters.labelValue;

/** Checks labels: at most 64, keys such as "team", values of at most 256 characters. */
export function checkLabels(labels: Labels, v: Violations): void {
  const entries = Object.entries(labels);
  if (entries.length > maxLabels) v.addHere(`must have at most ${maxLabels} labels`, "length");
  for (const [key, value] of entries.slice(0, maxLabels)) {
    const field = keys.test(key) ? key : `[${JSON.stringify(key)}]`;
    const refuse = (description: string, reason: string) => v.take([{ field, description, reason }]);
    const fault = textFault(value);
    if (!keys.test(key)) refuse(`the key must match ${keys.source}`, "pattern");
    else if (isLonger(value, maxValue)) refuse(`must have at most ${maxValue} characters`, "length");
    else if (fault) refuse(fault, "text");
  }
}
