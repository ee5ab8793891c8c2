import type { Violation } from "./faults.ts";
import type { Json } from "./json.ts";
import type { Signature } from "./signature.ts";

type Values = { readonly [name: string]: Json };

/** What a value came to: as the program gets it, or all that is wrong with it. */
export type Checked = { readonly ok: true; readonly values: Values } | { readonly ok: false; readonly violations: readonly Violation[] };

/** Coerces and checks values against the fields it was made from. */
export type Schema = { validate(values: Values): Checked };

export type SchemaCache = {
  of(signature: Signature): { readonly inputs: Schema; readonly outputs: Schema };
  stats(): { entries: number; hits: number; misses: number };
  /** Gives how many entries there were. */
  clear(): number;
};
