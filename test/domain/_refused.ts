import type { ExecutionContext } from "ava";
import { Invalid } from "../../src/domain/faults.ts";
import { createViolations, type Violations } from "../../src/domain/violations.ts";

/** The violations that `define` is refused with: "path: reason", sorted. */
export function refused(t: ExecutionContext<unknown>, define: () => unknown): string[] {
  const error = t.throws(define, { instanceOf: Invalid });
  return (error?.violations ?? []).map(({ field, reason }) => `${field}: ${reason}`).sort();
}

/** The violations that a check adds: "path: reason", in order. */
export function found(check: (v: Violations) => void): string[] {
  const v = createViolations();
  check(v);
  return v.list().map(({ field, reason }) => `${field}: ${reason}`);
}
