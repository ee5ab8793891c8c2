import { Invalid } from "./faults.ts";

/** True of a UUID in its usual text form. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** Refuses what is no UUID. */
export function checkUuid(text: string, field: string): void {
  if (!isUuid(text)) throw Invalid.at("REQUEST_INVALID", field, "must be a UUID", "type");
}

/** The time that a UUIDv7 was made at. */
export function timeOf(uuidv7: string): Date {
  return new Date(Number.parseInt(uuidv7.replace("-", "").slice(0, 12), 16));
}

/** The least UUIDv7 that could have been made at a time. */
export const firstId = (time: string): string => `${stamp(time)}-0000-0000-000000000000`;
/** The greatest. */
export const lastId = (time: string): string => `${stamp(time)}-ffff-ffff-ffffffffffff`;

function stamp(time: string): string {
  const ms = Math.min(Math.max(Date.parse(time), 0), 2 ** 48 - 1);
  const digits = ms.toString(16).padStart(12, "0");
  return `${digits.slice(0, 8)}-${digits.slice(8)}`;
}
