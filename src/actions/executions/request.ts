import { createHash } from "node:crypto";
import type { Values } from "../../domain/execution.ts";
import { Invalid } from "../../domain/faults.ts";
import { canonicalJson, pathUnder } from "../../domain/json.ts";
import type { SchemaCache } from "../../domain/schema.ts";
import type { Signature } from "../../domain/signature.ts";

/** The inputs as the program gets them; refuses those that do not fit, each fault with its path. */
export function checkInputs(schemas: SchemaCache, signature: Signature, inputs: Values): Values {
  const checked = schemas.of(signature).inputs.validate(inputs);
  if (checked.ok) return checked.values;
  throw new Invalid(
    "INPUT_INVALID",
    checked.violations.map((violation) => ({ ...violation, field: pathUnder("inputs", violation.field) })),
  );
}

/** Says whether two requests under one request_id ask for the same. */
export function hashOf(asked: object): string {
  return createHash("sha256").update(canonicalJson(asked)).digest("hex");
}
