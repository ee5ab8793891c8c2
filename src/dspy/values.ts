import type { Values } from "../domain/execution.ts";
import type { Json } from "../domain/json.ts";

declare global {
  interface JSON {
    rawJSON(text: string): unknown;
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Values as JSON bytes, the form that they have on the private wire. */
export const bytesOf = (values: object): Uint8Array<ArrayBuffer> => encoder.encode(JSON.stringify(values));

/** The same for inputs. JSON.stringify writes -0 as 0, and DSPy would show another number. */
export const inputBytesOf = (values: Values): Uint8Array<ArrayBuffer> =>
  hasNegativeZero(values) ? encoder.encode(JSON.stringify(values, writeNegativeZero)) : bytesOf(values);

function hasNegativeZero(value: Json): boolean {
  if (typeof value !== "object" || value === null) return Object.is(value, -0);
  return (Array.isArray(value) ? value : Object.values(value)).some(hasNegativeZero);
}

const writeNegativeZero = (_: string, value: unknown) =>
  Object.is(value, -0) ? JSON.rawJSON("-0.0") : value;

/** Reads values; null for no bytes. */
export const readValues = (bytes: Uint8Array): Values | null =>
  bytes.length === 0 ? null : JSON.parse(decoder.decode(bytes));
