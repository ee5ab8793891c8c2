import { textFault } from "./json.ts";
import type { Violations } from "./violations.ts";

export type Labels = Readonly<Record<string, string>>;

const keys = /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/;
const most = 64;
const longest = 256;

/** Checks labels, each fault with its key: at most 64 of them, keys like "team", values of at most 256 characters. */
export function checkLabels(labels: Labels, v: Violations): void {
  const entries = Object.entries(labels);
  if (entries.length > most) v.addHere(`has more than ${most} labels`, "length");
  for (const [key, value] of entries.slice(0, most)) {
    const field = keys.test(key) ? key : `[${JSON.stringify(key)}]`;
    const refuse = (description: string, reason: string) => v.take([{ field, description, reason }]);
    const fault = textFault(value);
    if (!keys.test(key)) refuse(`the key must match ${keys.source}`, "pattern");
    else if ([...value].length > longest) refuse(`is longer than ${longest} characters`, "length");
    else if (fault) refuse(fault, "text");
  }
}
