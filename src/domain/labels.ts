import { Invalid, type Violation } from "./faults.ts";
import { textFault } from "./json.ts";

export type Labels = Readonly<Record<string, string>>;

const keys = /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/;
const most = 64;
const longest = 256;

/** What is wrong with labels, each fault with its key: at most 64 of them, keys like "team", values of at most 256 characters. */
export function labelViolations(labels: Labels, path: string): Violation[] {
  const entries = Object.entries(labels);
  const violations: Violation[] = [];
  if (entries.length > most)
    violations.push({ field: path, description: `has more than ${most} labels`, reason: "length" });
  for (const [key, value] of entries.slice(0, most)) {
    const field = keys.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
    if (!keys.test(key))
      violations.push({ field, description: `the key must match ${keys.source}`, reason: "pattern" });
    else if ([...value].length > longest)
      violations.push({ field, description: `is longer than ${longest} characters`, reason: "length" });
    else {
      const fault = textFault(value);
      if (fault) violations.push({ field, description: fault, reason: "text" });
    }
  }
  return violations;
}

/** Refuses labels that have a fault. */
export function checkLabels(labels: Labels, path: string): void {
  const violations = labelViolations(labels, path);
  if (violations.length > 0) throw new Invalid("REQUEST_INVALID", violations);
}
