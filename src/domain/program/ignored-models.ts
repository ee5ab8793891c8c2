import { isObject, type Json } from "../json.ts";

/** Maximum number that a caller is told. */
const maxTold = 100;

/**
 * The models that a state names, each as "predictor: model". None of them is asked: the operator
 * decides which models there are.
 */
export function ignoredModels(compiledState: string): string[] {
  const state: Json = JSON.parse(compiledState);
  if (!isObject(state)) return [];
  const isLone = isObject(state.signature) && "instructions" in (state.signature as object);
  const parts: [string, Json][] = isLone ? [["self", state]] : Object.entries(state);
  return parts
    .flatMap(([path, part]) => {
      const lm = isObject(part) ? (part.lm ?? null) : null;
      if (lm === null) return [];
      return [
        `${path}: ${isObject(lm) && typeof lm.model === "string" ? lm.model : "a model without a name"}`,
      ];
    })
    .slice(0, maxTold);
}
