import type { Values } from "../execution.ts";
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
  /** True if a caller must set it, and a string to more than "". */
  readonly isRequired?: boolean;
  readonly defaultValue?: Json;
  readonly min?: number;
  readonly max?: number;
  /** Checks a value in place of `type`, its text included, if the notation has no such type. */
  readonly check?: (value: Json, v: Violations) => void;
};

/**
 * Checks parameters against the table of known ones. Values are not coerced: "2" is not a number.
 */
export function checkParameters(params: Values, known: readonly Parameter[], v: Violations): void {
  const names = known.map(({ name }) => name).join(", ");
  const unknown = names === "" ? "unknown parameter; expected none" : `unknown parameter; expected ${names}`;
  for (const [name, value] of Object.entries(params)) {
    if (v.isFull) return;
    const parameter = known.find((candidate) => candidate.name === name);
    if (parameter?.check) parameter.check(value, v.at(name));
    else if (parameter) checkValue(parameter, value, v);
    else v.add(name, unknown, "unknown");
  }
  for (const { name, description, isRequired } of known)
    if (isRequired && (params[name] ?? "") === "")
      v.add(name, `is missing; expected ${sentencePart(description)}`, "missing");
}

function checkValue(parameter: Parameter, value: Json, v: Violations): void {
  const { name, type } = parameter;
  const checked = compileSchema([fieldOf(parameter)]).validate({ [name]: value });
  if (!checked.ok) v.take(checked.violations);
  else if (canonicalJson(checked.values[name]) !== canonicalJson(value))
    v.add(name, `must be of type ${type}`, "type");
}

/** The parameters, with the defaults of those that are not set. */
export function withDefaults(params: Values, known: readonly Parameter[]): Values {
  const defaults = known.flatMap(({ name, defaultValue }) =>
    defaultValue === undefined ? [] : [[name, defaultValue] as const],
  );
  return { ...Object.fromEntries(defaults), ...params };
}

/** "The share." as a part of another sentence: "the share". */
const sentencePart = (description: string) =>
  description.charAt(0).toLowerCase() + description.slice(1).replace(/\.$/, "");

function fieldOf({ name, type, min, max }: Parameter): Field {
  return {
    name,
    type: parseType(type),
    description: "",
    constraints: { ...(min !== undefined && { min }), ...(max !== undefined && { max }) },
  };
}
