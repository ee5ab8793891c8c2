import { Invalid } from "../faults.ts";

/**
 * A position in the log of changes: everything committed as of the snapshot `since`, and of the
 * changes between it and the snapshot `until`, those up to `number`.
 */
export type Cursor = { readonly since: string; readonly until: string | null; readonly number: string };

const snapshot = /^\d{1,19}:\d{1,19}:(\d{1,19}(,\d{1,19})*)?$/;

/** The cursor as an opaque token for callers. */
export function writeCursor({ since, until, number }: Cursor): string {
  return Buffer.from(JSON.stringify(until === null ? [since] : [since, until, number])).toString("base64url");
}

/** Reads a token of writeCursor. */
export function readCursor(token: string): Cursor {
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    if (!Array.isArray(parts) || !parts.every((part) => typeof part === "string")) throw cursorFault();
    const [since = "", until = null, number = "0", ...more] = parts as string[];
    const isSound =
      snapshot.test(since) &&
      (until === null || snapshot.test(until)) &&
      /^\d{1,18}$/.test(number) &&
      more.length === 0;
    if (isSound) return { since, until, number };
  } catch {
    // Not JSON.
  }
  throw cursorFault();
}

/** Thrown when a resume_token is malformed. */
export function cursorFault(): Invalid {
  const description = "is malformed; send the token of the last event, or none to watch from now on";
  return Invalid.at("REQUEST_INVALID", "resume_token", description, "resume_token");
}
