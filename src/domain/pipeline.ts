import type { Json } from "./json.ts";
import type { LmSettings } from "./program.ts";
import type { SignatureDraft } from "./signature.ts";

/** A module as a caller writes it. */
export type ModuleDraft = {
  readonly name: string;
  readonly type: string;
  /** The program's own where undefined. */
  readonly signature: SignatureDraft | undefined;
  readonly params: { readonly [name: string]: Json };
  readonly lm: LmSettings;
  /** Input name -> "field" or "module.field". */
  readonly inputFrom: readonly (readonly [input: string, from: string])[];
  readonly modules: readonly ModuleDraft[];
  readonly tools: readonly string[];
};
