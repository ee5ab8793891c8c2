import type { Values } from "../../domain/execution.ts";
import { Invalid } from "../../domain/faults.ts";
import { pathUnder } from "../../domain/json.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { Signature } from "../../domain/signature/signature.ts";

/** The inputs as the program gets them; refuses those that do not fit, each fault with its path. */
export function checkInputs(schemas: SchemaCache, signature: Signature, inputs: Values): Values {
  const checked = schemas.of(signature).inputs.validate(inputs);
  if (checked.ok) return checked.values;
  throw new Invalid(
    "INPUT_INVALID",
    checked.violations.map((violation) => ({ ...violation, field: pathUnder("inputs", violation.field) })),
  );
}
