import type { Field, FieldDraft, Signature } from "./signature.ts";
import { formatType } from "./type.ts";

/** Formats names and types in DSPy's notation; an input of type str has no type. */
export function formatSignatureText({ inputs, outputs }: Signature): string {
  const input = ({ name, type }: Field) => (type.kind === "str" ? name : `${name}: ${formatType(type)}`);
  const output = ({ name, type }: Field) => `${name}: ${formatType(type)}`;
  return `${inputs.map(input).join(", ")} -> ${outputs.map(output).join(", ")}`.trim();
}

/**
 * Parses "question, context -> answer: float" into fields without descriptions; calls `refuse` if
 * malformed.
 */
export function readSignatureText(
  text: string,
  refuse: (why: string) => void,
): { inputs: FieldDraft[]; outputs: FieldDraft[] } {
  const sides = split(text, "->");
  if (sides.length !== 2)
    refuse('must have one "->" between inputs and outputs, as in "question -> answer: float"');
  const [inputs = [], outputs = []] = sides.length === 2 ? sides.map(readSide) : [];
  return { inputs, outputs };
}

function readSide(side: string): FieldDraft[] {
  return split(side, ",")
    .filter((part, _, parts) => part.trim() !== "" || parts.length > 1)
    .map((part) => {
      const [name = "", ...type] = part.split(":");
      return { name: name.trim(), type: type.join(":").trim(), description: "", constraints: {} };
    });
}

/** Splits at separators outside of brackets and strings. */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let quote = "";
  let begin = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] as string;
    if (quote !== "") {
      if (sign === "\\") at += 1;
      else if (sign === quote) quote = "";
    } else if (sign === '"' || sign === "'") quote = sign;
    else if (sign === "[") depth += 1;
    else if (sign === "]") depth -= 1;
    else if (depth === 0 && text.startsWith(separator, at)) {
      parts.push(text.slice(begin, at));
      begin = at + separator.length;
    }
  }
  return [...parts, text.slice(begin)];
}
