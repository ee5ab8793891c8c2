import { Invalid } from "../faults.ts";

/**
 * How far somebody has read the log of changes: all that was committed as of a snapshot, and of what was committed from
 * there to the next one, all up to a number.
 */
export type Cursor = { readonly since: string; readonly until: string | null; readonly number: string };

const snapshot = /^\d{1,19}:\d{1,19}:(\d{1,19}(,\d{1,19})*)?$/;

/** The cursor as callers have it; its content is nobody's business. */
export function writeCursor({ since, until, number }: Cursor): string {
  return Buffer.from(JSON.stringify(until === null ? [since] : [since, until, number])).toString("base64url");
}

/** Reads what writeCursor wrote. */
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
    // No JSON.
  }
  throw cursorFault();
}

/** Thrown where a resume_token is none. */
export function cursorFault(): Invalid {
  const description = "is none: send the one that came with the last event, or none to watch from now on";
  return Invalid.at("REQUEST_INVALID", "resume_token", description, "resume_token");
}
