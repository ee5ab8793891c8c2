import { maxElements } from "../bounds.ts";
import { findMetric, metrics } from "../catalogue/metrics.ts";
import { checkParameters } from "../catalogue/parameter.ts";
import type { Field } from "../signature/signature.ts";
import { formatType } from "../signature/type.ts";
import type { Violations } from "../violations.ts";
import type { Metric } from "./optimization.ts";

const maxMetrics = maxElements.metrics;
/** Keeps sums and products of weights finite. */
const maxWeight = 1e9;

/** Checks metrics over the outputs of a signature. No metric at all is no violation. */
export function checkMetrics(asked: readonly Metric[], outputs: readonly Field[], v: Violations): void {
  if (asked.length > maxMetrics) v.addHere(`must have at most ${maxMetrics} metrics`, "length");
  else for (const [index, metric] of asked.entries()) checkMetric(metric, outputs, v.at(index));
}

function checkMetric(
  { name, field, params, weight }: Metric,
  outputs: readonly Field[],
  v: Violations,
): void {
  if (!(weight > 0 && weight <= maxWeight))
    v.add("weight", `must be above 0 and at most ${maxWeight}`, "range");
  const entry = findMetric(name);
  if (!entry) {
    const expected = metrics.map((one) => one.name).join(", ");
    const reason = name === "" ? "missing" : "unknown";
    v.add("name", `unknown metric ${JSON.stringify(name)}; expected one of ${expected}`, reason);
    return;
  }
  checkParameters(params, entry.parameters, v.at("params"));
  const scored = scoredOutputs({ field }, outputs);
  const unfit = scored.find(({ type }) => !entry.fits(type));
  if (scored.length === 0) {
    const expected = outputs.map((output) => output.name).join(", ");
    v.add("field", `unknown output ${JSON.stringify(field)}; expected one of ${expected}`, "unknown");
  } else if (unfit) {
    const fitting = outputs.filter(({ type }) => entry.fits(type)).map((output) => output.name);
    const expected = fitting.length === 0 ? "no output fits it" : `expected one of ${fitting.join(", ")}`;
    v.add("field", `${name} can't score ${unfit.name}, a ${formatType(unfit.type)}; ${expected}`, "type");
  }
}

/** The outputs that a metric scores: the one that it names, else all. */
export const scoredOutputs = (
  { field }: Pick<Metric, "field">,
  outputs: readonly Field[],
): readonly Field[] => (field === "" ? outputs : outputs.filter(({ name }) => name === field));
