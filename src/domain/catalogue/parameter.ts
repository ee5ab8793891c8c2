import { canonicalJson, type Json } from "../json.ts";
import { compileSchema } from "../signature/schema.ts";
import type { Field } from "../signature/signature.ts";
import { parseType } from "../signature/type.ts";
import type { Violations } from "../violations.ts";

/** A setting that a caller may send: its type in DSPy's notation, and its bounds. */
export type Parameter = {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly defaultValue?: Json;
  readonly min?: number;
  readonly max?: number;
};

/** Checks parameters against the table of those there are. They are not coerced: what is sent is what is meant. */
export function checkParameters(
  params: { readonly [name: string]: Json },
  known: readonly Parameter[],
  v: Violations,
): void {
  const names = known.map(({ name }) => name);
  const unknown =
    names.length === 0 ? "is not known; there are none" : `is not known; there is ${names.join(", ")}`;
  for (const [name, value] of Object.entries(params)) {
    if (v.isFull) return;
    const parameter = known.find((candidate) => candidate.name === name);
    if (!parameter) {
      v.add(name, unknown, "unknown");
      continue;
    }
    const checked = compileSchema([fieldOf(parameter)]).validate({ [name]: value });
    if (!checked.ok) v.take(checked.violations);
    else if (canonicalJson(checked.values[name]) !== canonicalJson(value))
      v.add(name, `must be of type ${parameter.type}`, "type");
  }
}

function fieldOf({ name, type, min, max }: Parameter): Field {
  return {
    name,
    type: parseType(type),
    description: "",
    constraints: { ...(min !== undefined && { min }), ...(max !== undefined && { max }) },
  };
}
