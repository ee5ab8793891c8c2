import { createHash } from "node:crypto";
import type { Values } from "../execution.ts";
import { canonicalJson, type Json } from "../json.ts";
import type { Type } from "./type.ts";

/** What a field's value must keep to beside its type. */
export type Constraints = {
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly min?: number;
  readonly max?: number;
  readonly gt?: number;
  readonly lt?: number;
  readonly pattern?: string;
  /** Told to the model, not checked here. */
  readonly other?: Values;
};

export type Field = {
  readonly name: string;
  readonly type: Type;
  readonly description: string;
  readonly constraints: Constraints;
  readonly defaultValue?: Json;
};

/** What a program takes and what it gives. */
export type Signature = {
  readonly name: string;
  /** Empty: DSPy's own, made from the names. */
  readonly instructions: string;
  readonly inputs: readonly Field[];
  readonly outputs: readonly Field[];
};

export type FieldDraft = Omit<Field, "type"> & { readonly type: string };

/** A signature as a caller writes it. */
export type SignatureDraft = {
  readonly name: string;
  readonly instructions: string;
  /** DSPy's notation; it may stand in place of inputs and outputs. */
  readonly text: string;
  readonly inputs: readonly FieldDraft[];
  readonly outputs: readonly FieldDraft[];
};

/** Equal for two signatures that say the same, whatever they are called. */
export function signatureHash({ instructions, inputs, outputs }: Signature): string {
  return createHash("sha256").update(canonicalJson({ instructions, inputs, outputs })).digest("hex");
}

/** True of two that say the same under the same name. */
export const isSameSignature = (one: Signature, other: Signature): boolean =>
  one === other || (one.name === other.name && signatureHash(one) === signatureHash(other));
