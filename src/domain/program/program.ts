import { createHash } from "node:crypto";
import type { Values } from "../execution.ts";
import { canonicalJson } from "../json.ts";
import { isSameSignature, type Signature, type SignatureDraft } from "../signature/signature.ts";

/** The settings of a model call; those left out are the server's. */
export type LmSettings = {
  readonly model?: string;
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly params?: Values;
  readonly adapter?: string;
  readonly cache?: boolean;
};

/** An input takes the output field of an earlier module, or the program's own input where module is empty. */
export type Wire = { readonly input: string; readonly module: string; readonly field: string };

/** One step of a program. */
export type Module = {
  readonly name: string;
  readonly type: string;
  readonly signature: Signature;
  readonly params: Values;
  readonly lm: LmSettings;
  readonly wires: readonly Wire[];
  /** What it wraps. */
  readonly modules: readonly Module[];
  /** Names of tools that it may call; left out where there are none. */
  readonly tools?: readonly string[];
};

/** All that makes a revision of a program. */
export type Definition = {
  readonly signature: Signature;
  /** In the order they run; never empty. */
  readonly modules: readonly Module[];
  readonly lm: LmSettings;
  /** The JSON that DSPy's save() writes; empty where nothing was optimized. */
  readonly compiledState: string;
  /** For each output of the signature, the module that makes it. */
  readonly outputs: readonly Wire[];
};

/** The signatures that show where a definition is told: its own, and those of modules that have another. */
export function shownSignatures({
  signature,
  modules,
}: Pick<Definition, "signature" | "modules">): Signature[] {
  const shown = (inner: readonly Module[], own: Signature): Signature[] =>
    inner.flatMap((module) => [
      ...(isSameSignature(module.signature, own) ? [] : [module.signature]),
      ...shown(module.modules, module.signature),
    ]);
  return [signature, ...shown(modules, signature)];
}

/** The id under which a sidecar knows a definition: made from its content alone. */
export function dspyProgramId(definition: Definition): string {
  return `p_${createHash("sha256").update(canonicalJson(definition)).digest("hex")}`;
}

/** A module as a caller writes it. */
export type ModuleDraft = {
  readonly name: string;
  readonly type: string;
  /** The program's own where undefined. */
  readonly signature: SignatureDraft | undefined;
  readonly params: Values;
  readonly lm: LmSettings;
  /** Input name -> "field" or "module.field". */
  readonly inputFrom: readonly (readonly [input: string, from: string])[];
  readonly modules: readonly ModuleDraft[];
  readonly tools: readonly string[];
};
