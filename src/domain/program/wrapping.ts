import { type CatalogueEntry, modules as catalogue, type Parameter } from "../catalogue/modules.ts";
import type { Violation } from "../faults.ts";
import type { Json } from "../json.ts";
import { defineSignature } from "../signature/define.ts";
import { type Signature, signatureHash } from "../signature/signature.ts";
import { parameterViolations } from "./lm.ts";
import type { Module, ModuleDraft } from "./program.ts";

type Params = { readonly [name: string]: Json };

/** The module that a module wraps: as the caller writes it, else the usual one; over the signature of the one that wraps it. */
export function defineWrapped(
  draft: ModuleDraft,
  entry: CatalogueEntry,
  own: Signature,
  path: string,
  violations: Violation[],
): Module[] {
  const refuse = (part: string, description: string, reason: string) =>
    violations.push({ field: `${path}.${part}`, description, reason });
  if (entry.wraps.length === 0) {
    if (draft.modules.length > 0) refuse("modules", "are for a module that wraps another", "unknown");
    return [];
  }
  if (draft.modules.length > 1)
    refuse("modules", "has more than the one module that can be wrapped", "length");
  const [usual = ""] = entry.wraps;
  const inner = draft.modules[0];
  const type = inner?.type || usual;
  const wrapped = catalogue.find(({ name }) => name === type);
  if (!wrapped || !entry.wraps.includes(type))
    refuse(
      "modules[0].type",
      `can't be wrapped by ${entry.name}; there is ${entry.wraps.join(", ")}`,
      "literal",
    );
  if (inner) checkInner(inner, own, `${path}.modules[0]`, violations);
  violations.push(
    ...parameterViolations(inner?.params ?? {}, wrapped?.parameters ?? [], `${path}.modules[0].params`),
  );
  return [
    {
      name: inner?.name || "wrapped",
      type,
      signature: own,
      params: inner?.params ?? {},
      lm: {},
      wires: [],
      modules: [],
    },
  ];
}

/** What stands on the module that wraps counts for both. */
function checkInner(inner: ModuleDraft, own: Signature, path: string, violations: Violation[]): void {
  const parts = {
    lm: Object.keys(inner.lm),
    input_from: inner.inputFrom,
    modules: inner.modules,
    tools: inner.tools,
  };
  for (const [part, given] of Object.entries(parts))
    if (given.length > 0)
      violations.push({
        field: `${path}.${part}`,
        description: "belongs to the module that wraps this one",
        reason: "unknown",
      });
  if (
    inner.signature &&
    signatureHash(defineSignature(inner.signature, `${path}.signature`)) !== signatureHash(own)
  )
    violations.push({
      field: `${path}.signature`,
      description: "must be the one of the module that wraps this one",
      reason: "conflict",
    });
}

/** The parameters with the defaults of those that were left out. */
export function withDefaults(params: Params, known: readonly Parameter[]): Params {
  const defaults = known.flatMap(({ name, defaultValue }) =>
    defaultValue === undefined ? [] : [[name, defaultValue] as const],
  );
  return { ...Object.fromEntries(defaults), ...params };
}

/** A rubric and its judge go together. */
export function checkReward(
  { reward_fn: reward, rubric }: Params,
  path: string,
  violations: Violation[],
): void {
  const field = `${path}.params.rubric`;
  if (reward === "judge" && !rubric)
    violations.push({
      field,
      description: "is missing: say what the judge holds an answer against",
      reason: "missing",
    });
  if (reward !== "judge" && rubric !== undefined)
    violations.push({ field, description: "is for reward_fn judge", reason: "unknown" });
}
