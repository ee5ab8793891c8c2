import { createHash } from "node:crypto";
import type { Values } from "../execution.ts";
import { canonicalJson } from "../json.ts";
import { isSameSignature, type Signature, type SignatureDraft } from "../signature/signature.ts";

/** Settings of a model call; the server's settings are the defaults. */
export type LmSettings = {
  readonly model?: string;
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly params?: Values;
  readonly adapter?: string;
  readonly cache?: boolean;
};

/**
 * The source of an input: the output field of an earlier module, or a program input if module is
 * empty.
 */
export type Wire = { readonly input: string; readonly module: string; readonly field: string };

/** One step of a program. */
export type Module = {
  readonly name: string;
  readonly type: string;
  readonly signature: Signature;
  readonly params: Values;
  readonly lm: LmSettings;
  readonly wires: readonly Wire[];
  /** The wrapped module, if any. */
  readonly modules: readonly Module[];
  /** Names of the tools that it may call; left out if none. */
  readonly tools?: readonly string[];
  /** Models by their role, as the catalogue lists them; left out if none. */
  readonly lms?: Readonly<Record<string, LmSettings>>;
};

/** The content of a revision. */
export type Definition = {
  readonly signature: Signature;
  /** In running order; never empty. */
  readonly modules: readonly Module[];
  readonly lm: LmSettings;
  /** The JSON that DSPy's save() writes; empty if not optimized. */
  readonly compiledState: string;
  /** The source of each output of the signature. */
  readonly outputs: readonly Wire[];
};

/**
 * The signatures that a message about a definition contains: its own, and different ones of its
 * modules.
 */
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

/** The id of a definition in the sidecar: a hash of its content. */
export function dspyProgramId(definition: Definition): string {
  return `p_${createHash("sha256").update(canonicalJson(definition)).digest("hex")}`;
}

/** A module as its caller sends it. */
export type ModuleDraft = {
  readonly name: string;
  readonly type: string;
  /** The program's own signature if undefined. */
  readonly signature: SignatureDraft | undefined;
  readonly params: Values;
  readonly lm: LmSettings;
  /** Input name -> "field" or "module.field". */
  readonly inputFrom: readonly (readonly [input: string, from: string])[];
  readonly modules: readonly ModuleDraft[];
  readonly tools: readonly string[];
  /** Left out if none: an empty map would change the hashes of requests. */
  readonly lms?: Readonly<Record<string, LmSettings>>;
};
