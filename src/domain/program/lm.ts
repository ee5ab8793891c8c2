import { adapters, lmParameters, type Parameter } from "../catalogue/modules.ts";
import { Invalid, type Violation } from "../faults.ts";
import { canonicalJson, type Json, pathTo, pathUnder } from "../json.ts";
import { compileSchema } from "../signature/schema.ts";
import type { Field } from "../signature/signature.ts";
import { parseType } from "../signature/type.ts";
import type { LmSettings } from "./program.ts";

export type Models = { readonly allowedModels: readonly string[] };

const hottest = 5;
const mostTokens = 1_000_000;

/** What is wrong with the settings of a model call. */
export function lmViolations(lm: LmSettings, { allowedModels }: Models, path: string): Violation[] {
  const violations: Violation[] = [];
  const refuse = (part: string, description: string, reason: string) =>
    violations.push({ field: `${path}.${part}`, description, reason });
  const { model, temperature, maxTokens, params, adapter } = lm;
  if (model !== undefined && !allowedModels.includes(model))
    refuse("model", `is not allowed here; there is ${allowedModels.join(", ")}`, "literal");
  if (temperature !== undefined && !(temperature >= 0 && temperature <= hottest))
    refuse("temperature", `must be from 0 to ${hottest}`, "range");
  if (maxTokens !== undefined && !(maxTokens >= 1 && maxTokens <= mostTokens))
    refuse("max_tokens", `must be from 1 to ${mostTokens}`, "range");
  if (adapter !== undefined && !adapters.includes(adapter))
    refuse("adapter", `is not known; there is ${adapters.join(", ")}`, "literal");
  return [...violations, ...parameterViolations(params ?? {}, lmParameters, `${path}.params`)];
}

/** The settings as they are; refuses those that have a fault. */
export function checkLm(lm: LmSettings, models: Models, path: string): LmSettings {
  const violations = lmViolations(lm, models, path);
  if (violations.length > 0) throw new Invalid("REQUEST_INVALID", violations);
  return lm;
}

/** What is wrong with parameters, by the table of those there are. They are not coerced: what is sent is what is meant. */
export function parameterViolations(
  params: { readonly [name: string]: Json },
  known: readonly Parameter[],
  path: string,
): Violation[] {
  const names = known.map(({ name }) => name);
  return Object.entries(params).flatMap(([name, value]) => {
    const parameter = known.find((candidate) => candidate.name === name);
    if (!parameter) {
      const description =
        names.length === 0 ? "is not known; there are none" : `is not known; there is ${names.join(", ")}`;
      return [{ field: pathTo(path, name), description, reason: "unknown" }];
    }
    const checked = compileSchema([fieldOf(parameter)]).validate({ [name]: value });
    if (!checked.ok)
      return checked.violations.map((violation) => ({
        ...violation,
        field: pathUnder(path, violation.field),
      }));
    const isAsMeant = canonicalJson(checked.values[name]) === canonicalJson(value);
    return isAsMeant
      ? []
      : [{ field: pathTo(path, name), description: `must be of type ${parameter.type}`, reason: "type" }];
  });
}

function fieldOf({ name, type, min, max }: Parameter): Field {
  return {
    name,
    type: parseType(type),
    description: "",
    constraints: { ...(min !== undefined && { min }), ...(max !== undefined && { max }) },
  };
}
