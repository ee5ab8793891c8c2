import type { Values } from "../domain/execution.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Values as the private wire has them. */
export const bytesOf = (values: object): Uint8Array<ArrayBuffer> => encoder.encode(JSON.stringify(values));

/** null where there are none. */
export const valuesOf = (bytes: Uint8Array): Values | null =>
  bytes.length === 0 ? null : JSON.parse(decoder.decode(bytes));
