import { createHash } from "node:crypto";
import type { Values } from "../execution.ts";
import { canonicalJson, type Json } from "../json.ts";
import type { Type } from "./type.ts";

/** Constraints of a field's value, in addition to its type. */
export type Constraints = {
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly min?: number;
  readonly max?: number;
  readonly gt?: number;
  readonly lt?: number;
  readonly pattern?: string;
  /** Shown to the model, but not checked. */
  readonly other?: Values;
};

export type Field = {
  readonly name: string;
  readonly type: Type;
  readonly description: string;
  readonly constraints: Constraints;
  readonly defaultValue?: Json;
};

/** The inputs and outputs of a program. */
export type Signature = {
  readonly name: string;
  /** If empty, DSPy derives instructions from the names. */
  readonly instructions: string;
  readonly inputs: readonly Field[];
  readonly outputs: readonly Field[];
};

export type FieldDraft = Omit<Field, "type"> & { readonly type: string };

/** A signature as its caller sends it. */
export type SignatureDraft = {
  readonly name: string;
  readonly instructions: string;
  /** DSPy's notation, in place of inputs and outputs. */
  readonly text: string;
  readonly inputs: readonly FieldDraft[];
  readonly outputs: readonly FieldDraft[];
};

/** A hash of the content, without the name. */
export function signatureHash({ instructions, inputs, outputs }: Signature): string {
  return createHash("sha256").update(canonicalJson({ instructions, inputs, outputs })).digest("hex");
}

/** True for two signatures of the same name and content. */
export const isSameSignature = (one: Signature, other: Signature): boolean =>
  one === other || (one.name === other.name && signatureHash(one) === signatureHash(other));
