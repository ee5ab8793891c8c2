import { isUuid } from "../uuid.ts";
import type { Violations } from "../violations.ts";

const handles = /^[a-z][a-z0-9-]{0,61}[a-z0-9]$/;

/** True for a text that can be a program's handle. */
export const isHandle = (text: string): boolean => handles.test(text) && !isUuid(text);

/** Checks a handle that a caller chooses. */
export function checkHandle(handle: string, v: Violations): void {
  if (isUuid(handle)) v.addHere("must not look like a UUID", "pattern");
  else if (!handles.test(handle))
    v.addHere("must be 2 to 63 lower-case letters, digits and hyphens, and begin with a letter", "pattern");
}

/** A handle derived from a name: "Complex QA Program" -> "complex-qa-program". */
export function deriveHandle(name: string): string {
  const plain = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 63)
    .replace(/-+$/, "");
  return isHandle(plain) ? plain : `program${plain === "" ? "" : `-${plain}`}`;
}
