import type { Values } from "../domain/execution.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Values as JSON bytes, the form that they have on the private wire. */
export const bytesOf = (values: object): Uint8Array<ArrayBuffer> => encoder.encode(JSON.stringify(values));

/** Reads values; null for no bytes. */
export const readValues = (bytes: Uint8Array): Values | null =>
  bytes.length === 0 ? null : JSON.parse(decoder.decode(bytes));
