import { adapters, lmParameters } from "../catalogue/modules.ts";
import { checkParameters } from "../catalogue/parameter.ts";
import type { Violations } from "../violations.ts";
import type { LmSettings } from "./program.ts";

export type Models = { readonly allowedModels: readonly string[] };

const maxTemperature = 5;
const maxMaxTokens = 1_000_000;

/** Checks the settings of a model call. */
export function checkLm(lm: LmSettings, { allowedModels }: Models, v: Violations): void {
  const { model, temperature, maxTokens, params, adapter } = lm;
  if (model !== undefined && !allowedModels.includes(model))
    v.add("model", `is not an allowed model; expected one of ${allowedModels.join(", ")}`, "literal");
  if (temperature !== undefined && !(temperature >= 0 && temperature <= maxTemperature))
    v.add("temperature", `must be from 0 to ${maxTemperature}`, "range");
  if (maxTokens !== undefined && !(maxTokens >= 1 && maxTokens <= maxMaxTokens))
    v.add("max_tokens", `must be from 1 to ${maxMaxTokens}`, "range");
  if (adapter !== undefined && !adapters.includes(adapter))
    v.add("adapter", `unknown adapter; expected one of ${adapters.join(", ")}`, "literal");
  if (params) checkParameters(params, lmParameters, v.at("params"));
}

/** Refuses settings under a key that is none of the roles. */
export function checkRoles(
  lms: Readonly<Record<string, LmSettings>>,
  roles: readonly string[],
  v: Violations,
): void {
  const expected = roles.length === 0 ? "expected none" : `expected one of ${roles.join(", ")}`;
  for (const role of Object.keys(lms))
    if (!roles.includes(role)) v.add(role, `unknown role ${JSON.stringify(role)}; ${expected}`, "unknown");
}
