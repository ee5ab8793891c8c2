import type { Signature } from "../signature/signature.ts";
import { formatSignatureText } from "../signature/text.ts";

/**
 * Estimated bytes of a value in a message: never too low, and close if the value is mostly text.
 */
export function weigh(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value) + 6;
  if (Array.isArray(value)) return value.reduce<number>((sum, element) => sum + weigh(element) + 4, 6);
  if (value instanceof Date) return 16;
  if (typeof value !== "object" || value === null) return 12;
  return Object.entries(value).reduce(
    (sum, [key, member]) => sum + Buffer.byteLength(key) + 8 + weigh(member),
    6,
  );
}

/** Bytes of the signatures' texts, which a message holds in addition to their fields. */
export function weighTexts(signatures: readonly Signature[]): number {
  return signatures.reduce((sum, signature) => sum + Buffer.byteLength(formatSignatureText(signature)), 0);
}
