import { type CatalogueEntry, modules as catalogue } from "../catalogue/modules.ts";
import { checkParameters } from "../catalogue/parameter.ts";
import { defineSignature } from "../signature/define.ts";
import { type Signature, signatureHash } from "../signature/signature.ts";
import type { Violations } from "../violations.ts";
import type { Module, ModuleDraft } from "./program.ts";

/**
 * The wrapped module: the one that the caller sends, else the default; it has the signature of its
 * wrapper.
 */
export function defineWrapped(
  draft: ModuleDraft,
  entry: CatalogueEntry,
  own: Signature,
  v: Violations,
): Module[] {
  if (entry.wraps.length === 0) {
    if (draft.modules.length > 0) v.add("modules", `must be empty; ${entry.name} wraps no module`, "unknown");
    return [];
  }
  if (draft.modules.length > 1) v.add("modules", "must have one module, the wrapped one", "length");
  const [defaultType = ""] = entry.wraps;
  const inner = draft.modules[0];
  const type = inner?.type || defaultType;
  const wrapped = catalogue.find(({ name }) => name === type);
  const place = v.at("modules", 0);
  if (!wrapped || !entry.wraps.includes(type))
    place.add(
      "type",
      `${entry.name} can't wrap ${JSON.stringify(type)}; expected one of ${entry.wraps.join(", ")}`,
      "literal",
    );
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

/** Settings belong to the wrapper and count for both. */
function checkInner(inner: ModuleDraft, own: Signature, v: Violations): void {
  const parts = {
    lm: Object.keys(inner.lm),
    lms: Object.keys(inner.lms ?? {}),
    input_from: inner.inputFrom,
    modules: inner.modules,
    tools: inner.tools,
  };
  for (const [part, set] of Object.entries(parts))
    if (set.length > 0) v.add(part, "must be set on the module that wraps this one", "unknown");
  const { signature } = inner;
  const defined = signature && v.at("signature").try(() => defineSignature(signature, ""));
  if (defined && signatureHash(defined) !== signatureHash(own))
    v.add("signature", "must equal the signature of the module that wraps this one", "conflict");
}
