import type { Violation } from "../faults.ts";
import { maxViolations, pathTo, pathUnder } from "../json.ts";
import { compileSchema, type Schema, type SignatureSchemas } from "../signature/schema.ts";
import type { Signature } from "../signature/signature.ts";
import type { Example, Metric } from "./optimization.ts";

/** Coerces examples and checks them against a signature: all inputs, and of the outputs those that a metric looks at. */
export function readExamples(
  examples: readonly Example[],
  signature: Signature,
  schemas: SignatureSchemas,
  metrics: readonly Metric[],
  path: string,
  violations: Violation[],
): Example[] {
  const outputs = new Map(
    signature.outputs.map((field): [string, Schema] => [field.name, compileSchema([field])]),
  );
  const needed = neededOutputs(signature, metrics);
  return examples.map((example, index) => {
    const at = (violation: Violation, part: string) => ({
      ...violation,
      field: `${path}[${index}].${pathUnder(part, violation.field)}`,
    });
    const refuse = (found: readonly Violation[], part: string) => {
      if (violations.length < maxViolations)
        violations.push(...found.map((violation) => at(violation, part)));
    };
    const inputs = schemas.inputs.validate(example.inputs);
    if (!inputs.ok) refuse(inputs.violations, "inputs");
    const missing = needed.filter((name) => !Object.hasOwn(example.outputs, name));
    refuse(
      missing.map((name) => ({
        field: name,
        description: "is missing, and a metric looks at it",
        reason: "missing",
      })),
      "outputs",
    );
    const labelled = Object.entries(example.outputs).flatMap(([name, value]) => {
      const schema = outputs.get(name);
      const unknown = {
        field: pathTo("", name),
        description: "is no output of the signature",
        reason: "unknown",
      };
      const checked = schema?.validate({ [name]: value }) ?? { ok: false as const, violations: [unknown] };
      if (!checked.ok) refuse(checked.violations, "outputs");
      return checked.ok ? Object.entries(checked.values) : [];
    });
    return { inputs: inputs.ok ? inputs.values : {}, outputs: Object.fromEntries(labelled) };
  });
}

/** A judge needs no answer to hold another against. */
function neededOutputs({ outputs }: Signature, metrics: readonly Metric[]): string[] {
  const compared = metrics.filter(({ name }) => name !== "judge");
  return outputs
    .map(({ name }) => name)
    .filter((name) => compared.some(({ field }) => field === "" || field === name));
}
