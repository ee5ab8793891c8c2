import type { Parameter } from "../catalogue/parameter.ts";
import { withDefaults } from "../catalogue/parameter.ts";
import type { Values } from "../execution.ts";
import type { Violations } from "../violations.ts";
import type { Models } from "./lm.ts";
import type { Definition, LmSettings } from "./program.ts";

/** OpenAI's reasoning models, by DSPy's own rule; a test of the sidecar compares the two. */
export const reasoningModel =
  /^(?:o[1345](?:-(?:mini|nano|pro))?(?:-\d{4}-\d{2}-\d{2})?|gpt-5(?:\.\d+)*(?!-chat)(?:-.*)?)$/;

const minMaxTokens = 16_000;

export function isReasoningModel(model: string): boolean {
  return reasoningModel.test(model.slice(model.lastIndexOf("/") + 1).toLowerCase());
}

/** What reasoning models do not take, though other models do. */
const rules = [
  { key: "temperature", name: "temperature", right: "1", isTaken: (value: number) => value === 1 },
  {
    key: "maxTokens",
    name: "max_tokens",
    right: `at least ${minMaxTokens}`,
    isTaken: (value: number) => value >= minMaxTokens,
  },
] as const;

/**
 * Settings of a model; later layers override earlier ones. Without `v` they are no part of the
 * request.
 */
export type Layer = { readonly lm: LmSettings; readonly v?: Violations };

/**
 * Checks that the model which the layers choose takes the settings that they set. A violation
 * stands at what is nearer to the call, the setting or the model; at `here` if the request has
 * neither.
 */
export function checkTaken(layers: readonly Layer[], { allowedModels }: Models, here: Violations): void {
  const modelAt = layers.findLastIndex(({ lm }) => lm.model);
  const model = layers[modelAt]?.lm.model ?? allowedModels[0] ?? "";
  if (!isReasoningModel(model)) return;
  for (const { key, name, right, isTaken } of rules) {
    const at = layers.findLastIndex(({ lm }) => lm[key] !== undefined);
    const value = layers[at]?.lm[key];
    if (value === undefined || isTaken(value)) continue;
    const own = at >= modelAt ? layers[at]?.v : undefined;
    const named = layers[modelAt]?.v;
    if (own) own.add(name, `must be ${right}, or left out, for the reasoning model ${model}`, "range");
    else if (named && modelAt > at)
      named.add("model", `does not take the program's ${name} of ${value}; set ${name} to ${right}`, "range");
    else here.add(name, `must be ${right}: ${model} does not take the program's ${value}`, "range");
  }
}

/** Checks the settings of a run's request together with those of the program's modules. */
export function checkTakenByRun(
  { lm: ofProgram, modules }: Definition,
  lm: LmSettings,
  models: Models,
  v: Violations,
): void {
  for (const module of modules) {
    const layers = [{ lm: ofProgram }, { lm: module.lm }, { lm, v }];
    checkTaken(layers, models, v);
    for (const role of Object.values(module.lms ?? {})) checkTaken([...layers, { lm: role }], models, v);
  }
}

/**
 * Checks a temperature among a caller's parameters. The default is none of the caller's, also if
 * the caller sends it back: the sidecar adapts it.
 */
export function checkTakenParameter(
  name: string,
  params: Values,
  known: readonly Parameter[],
  layers: readonly LmSettings[],
  { allowedModels }: Models,
  v: Violations,
): void {
  const model = layers.findLast((lm) => lm.model)?.model ?? allowedModels[0] ?? "";
  const value = params[name];
  const isDefault = value === undefined || value === withDefaults({}, known)[name];
  if (!isDefault && value !== 1 && isReasoningModel(model))
    v.add(name, `must be 1, or left out, for the reasoning model ${model}`, "range");
}
