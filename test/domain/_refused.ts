import type { ExecutionContext } from "ava";
import { Invalid } from "../../src/domain/faults.ts";

/** What was wrong with what was refused: "path: reason", sorted. */
export function refused(t: ExecutionContext<unknown>, define: () => unknown): string[] {
  const error = t.throws(define, { instanceOf: Invalid });
  return (error?.violations ?? []).map(({ field, reason }) => `${field}: ${reason}`).sort();
}
