import type { Values } from "../../domain/execution.ts";
import { Invalid } from "../../domain/faults.ts";
import { pathUnder } from "../../domain/json.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { Signature } from "../../domain/signature/signature.ts";

/** The inputs, coerced to the types of the signature; throws with the path of each invalid value. */
export function checkInputs(schemas: SchemaCache, signature: Signature, inputs: Values): Values {
  const checked = schemas.of(signature).inputs.validate(inputs);
  if (checked.ok) return checked.values;
  throw new Invalid(
    "INPUT_INVALID",
    checked.violations.map((violation) => ({ ...violation, field: pathUnder("inputs", violation.field) })),
  );
}
