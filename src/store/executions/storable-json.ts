/**
 * JSON for PostgreSQL. jsonb refuses NUL and lone surrogates, which models may write as values and
 * as keys: they become U+FFFD. If two keys of an object become the same, the last one counts.
 */
export function storableJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!unstorable.test(text)) return text;
  return JSON.stringify(value, (_key, part) => {
    if (typeof part === "string") return storableText(part);
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).map(([key, member]) => [storableText(key), member]));
  });
}

const unstorable = /\\u(0000|d[89a-f])/;
const storableText = (text: string): string => text.toWellFormed().replaceAll("\0", "\ufffd");
