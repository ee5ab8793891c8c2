import type { Values } from "../../domain/execution.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { Signature } from "../../domain/signature/signature.ts";
import { createViolations } from "../../domain/violations.ts";

/** Coerces the inputs to the signature's types; throws with the path of each invalid value. */
export function checkInputs(schemas: SchemaCache, signature: Signature, inputs: Values): Values {
  const checked = schemas.of(signature).inputs.validate(inputs);
  if (checked.ok) return checked.values;
  const v = createViolations("inputs");
  v.take(checked.violations);
  throw v.fault("INPUT_INVALID");
}
