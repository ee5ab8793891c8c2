import { Invalid } from "./faults.ts";

/** True of a UUID in its usual text form. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** Refuses what is no UUID. */
export function checkUuid(text: string, field: string): void {
  if (!isUuid(text)) throw new Invalid("REQUEST_INVALID", [{ field, description: "must be a UUID", reason: "type" }]);
}
