import type { Signature } from "../signature/signature.ts";
import { formatSignatureText } from "../signature/text.ts";

/** About how many bytes a value takes in a message: no fewer than it does, and little more where it is mostly text. */
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

/** What signatures take beside their fields: in a message, their text says once more what these are. */
export function weighTexts(signatures: readonly Signature[]): number {
  return signatures.reduce((sum, signature) => sum + Buffer.byteLength(formatSignatureText(signature)), 0);
}
