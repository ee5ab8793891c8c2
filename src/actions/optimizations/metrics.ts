import { checkMetrics } from "../../domain/optimization/metrics.ts";
import type { Metric } from "../../domain/optimization/optimization.ts";
import type { Signature } from "../../domain/signature/signature.ts";
import type { Violations } from "../../domain/violations.ts";

/** The requested metrics; without any, exact_match over all outputs. */
export function readMetrics(
  requested: readonly Metric[],
  { outputs }: Signature,
  v: Violations,
): readonly Metric[] {
  if (requested.length === 0) return [{ name: "exact_match", field: "", params: {}, weight: 1 }];
  checkMetrics(requested, outputs, v.at("metrics"));
  return requested;
}
