import type { Violation } from "../../domain/faults.ts";
import { metricViolations } from "../../domain/optimization/metrics.ts";
import type { Metric } from "../../domain/optimization/optimization.ts";
import type { Signature } from "../../domain/signature/signature.ts";

/** The requested metrics; without any, exact_match over all outputs. */
export function readMetrics(
  asked: readonly Metric[],
  { outputs }: Signature,
  violations: Violation[],
): readonly Metric[] {
  if (asked.length === 0) return [{ name: "exact_match", field: "", params: {}, weight: 1 }];
  violations.push(...metricViolations(asked, outputs, "metrics"));
  return asked;
}
