import { Invalid } from "./faults.ts";

/** True for a UUID in its canonical text form. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** Throws Invalid if the text is not a UUID. */
export function checkUuid(text: string, field: string): void {
  if (!isUuid(text)) throw Invalid.at("REQUEST_INVALID", field, "must be a UUID", "type");
}

/** The time at which a UUIDv7 was made. */
export function timeOf(uuidv7: string): Date {
  return new Date(Number.parseInt(uuidv7.replace("-", "").slice(0, 12), 16));
}

/** The smallest UUIDv7 of a time. */
export const firstId = (time: string): string => `${stamp(time)}-0000-0000-000000000000`;
/** The greatest UUIDv7 of a time. */
export const lastId = (time: string): string => `${stamp(time)}-ffff-ffff-ffffffffffff`;

function stamp(time: string): string {
  const ms = Math.min(Math.max(Date.parse(time), 0), 2 ** 48 - 1);
  const digits = ms.toString(16).padStart(12, "0");
  return `${digits.slice(0, 8)}-${digits.slice(8)}`;
}
