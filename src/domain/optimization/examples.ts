import { findMetric } from "../catalogue/metrics.ts";
import type { Json } from "../json.ts";
import { compileSchema, type Schema, type SignatureSchemas } from "../signature/schema.ts";
import type { Signature } from "../signature/signature.ts";
import type { Violations } from "../violations.ts";
import { scoredOutputs } from "./metrics.ts";
import type { Example, Metric } from "./optimization.ts";

/** Examples between two pauses: the work for them takes some milliseconds. */
const pauseEvery = 100;

/**
 * Coerces examples and checks them against a signature: all inputs, each given output, and that no
 * needed output is missing. Awaits `pause` now and then, since there may be 10,000 of them.
 */
export async function readExamples(
  examples: readonly Example[],
  signature: Signature,
  schemas: SignatureSchemas,
  metrics: readonly Metric[],
  v: Violations,
  pause: () => Promise<unknown>,
): Promise<Example[]> {
  const schemaOf = new Map(
    signature.outputs.map((field): [string, Schema] => [field.name, compileSchema([field])]),
  );
  const needed = neededOutputs(signature, metrics);
  const read: Example[] = [];
  for (const [index, example] of examples.entries()) {
    if (v.isFull) break;
    if (index % pauseEvery === pauseEvery - 1) await pause();
    const inputs = schemas.inputs.validate(example.inputs);
    if (!inputs.ok) v.at(index, "inputs").take(inputs.violations);
    for (const name of needed)
      if (!Object.hasOwn(example.outputs, name))
        v.at(index, "outputs").add(name, "is missing; a metric compares it", "missing");
    const outputs: Record<string, Json> = {};
    for (const [name, value] of Object.entries(example.outputs)) {
      if (v.isFull) break;
      const checked = schemaOf.get(name)?.validate({ [name]: value });
      if (checked?.ok) Object.assign(outputs, checked.values);
      else if (checked) v.at(index, "outputs").take(checked.violations);
      else v.at(index, "outputs").add(name, "unknown output; the signature has no such field", "unknown");
    }
    read.push({ inputs: inputs.ok ? inputs.values : {}, outputs });
  }
  return read;
}

/** The outputs that an example must have, since a metric compares them with the program's. */
function neededOutputs({ outputs }: Signature, metrics: readonly Metric[]): string[] {
  const comparing = metrics.filter(({ name }) => findMetric(name)?.needsExpected);
  const needed = comparing.flatMap((metric) => scoredOutputs(metric, outputs));
  return [...new Set(needed.map(({ name }) => name))];
}
