import { type CatalogueEntry, modules as catalogue } from "../catalogue/modules.ts";
import { checkParameters } from "../catalogue/parameter.ts";
import { defineSignature } from "../signature/define.ts";
import { type Signature, signatureHash } from "../signature/signature.ts";
import type { Violations } from "../violations.ts";
import type { Module, ModuleDraft } from "./program.ts";

/** The module that a module wraps: as the caller writes it, else the usual one; over the signature of the one that wraps it. */
export function defineWrapped(
  draft: ModuleDraft,
  entry: CatalogueEntry,
  own: Signature,
  v: Violations,
): Module[] {
  if (entry.wraps.length === 0) {
    if (draft.modules.length > 0) v.add("modules", "are for a module that wraps another", "unknown");
    return [];
  }
  if (draft.modules.length > 1)
    v.add("modules", "has more than the one module that can be wrapped", "length");
  const [usual = ""] = entry.wraps;
  const inner = draft.modules[0];
  const type = inner?.type || usual;
  const wrapped = catalogue.find(({ name }) => name === type);
  const place = v.at("modules", 0);
  if (!wrapped || !entry.wraps.includes(type))
    place.add("type", `can't be wrapped by ${entry.name}; there is ${entry.wraps.join(", ")}`, "literal");
  if (inner) checkInner(inner, own, place);
  checkParameters(inner?.params ?? {}, wrapped?.parameters ?? [], place.at("params"));
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
function checkInner(inner: ModuleDraft, own: Signature, v: Violations): void {
  const parts = {
    lm: Object.keys(inner.lm),
    input_from: inner.inputFrom,
    modules: inner.modules,
    tools: inner.tools,
  };
  for (const [part, set] of Object.entries(parts))
    if (set.length > 0) v.add(part, "belongs to the module that wraps this one", "unknown");
  const { signature } = inner;
  const defined = signature && v.at("signature").try(() => defineSignature(signature, ""));
  if (defined && signatureHash(defined) !== signatureHash(own))
    v.add("signature", "must be the one of the module that wraps this one", "conflict");
}
