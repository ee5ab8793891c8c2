import { maxCharacters, maxElements } from "../bounds.ts";
import { Invalid } from "../faults.ts";
import { textFault } from "../json.ts";
import { readPath } from "./filter.ts";
import { type Fields, resolveTarget, type Target } from "./queryable.ts";

/** A field to sort by. A row without the field sorts as the smallest. */
export type Term = { readonly target: Target; readonly isDescending: boolean };

const maxTerms = maxElements.terms;

/** Parses an order_by of AIP-132: "duration_ms desc, created_at". */
export function readOrder(text: string, fields: Fields): readonly Term[] {
  checkText(text, "order_by");
  if (text.trim() === "") return [];
  const terms: Term[] = [];
  for (let at = 0; ; ) {
    at += blanks(text, at);
    const { target, end } = readTarget(text, at, fields, "order_by");
    const rest = /\s*(?:\s(asc|desc))?\s*(,|$)/y;
    rest.lastIndex = end;
    const found = rest.exec(text);
    if (!found) throw refusal("order_by", `expected asc, desc, a comma or the end at position ${end + 1}`);
    if (terms.some((term) => key(term.target) === key(target)))
      throw refusal("order_by", `${key(target)} is repeated`);
    terms.push({ target, isDescending: found[1] === "desc" });
    if (terms.length > maxTerms) throw refusal("order_by", `must have at most ${maxTerms} fields`);
    if (found[2] === "") return terms;
    at = rest.lastIndex;
  }
}

/** Resolves the names of fields to group by. */
export function readTargets(names: readonly string[], fields: Fields, field: string): readonly Target[] {
  if (names.length > maxTerms) throw refusal(field, `must have at most ${maxTerms} fields`);
  const seen = new Set<string>();
  return names.map((name, index) => {
    const path = `${field}[${index}]`;
    checkText(name, path);
    const { target, end } = readTarget(name, 0, fields, path);
    if (end < name.length) throw refusal(path, `expected the end at position ${end + 1}`);
    if (seen.has(key(target))) throw refusal(path, "is repeated");
    seen.add(key(target));
    return target;
  });
}

const key = ({ field, path }: Target) => [field, ...path].join(".");
const refusal = (field: string, description: string) =>
  Invalid.at("REQUEST_INVALID", field, description, "order");
const blanks = (text: string, at: number) => /^\s*/.exec(text.slice(at))?.[0].length ?? 0;

function checkText(text: string, field: string): void {
  const fault =
    text.length > maxCharacters.orderBy
      ? `must have at most ${maxCharacters.orderBy} characters`
      : textFault(text);
  if (fault) throw refusal(field, fault);
}

function readTarget(
  text: string,
  at: number,
  fields: Fields,
  field: string,
): { target: Target; end: number } {
  const read = readPath(text, at);
  if (typeof read === "number") throw refusal(field, `expected a field at position ${read + 1}`);
  const name = text.slice(at, read.end);
  const target = resolveTarget(fields, read.path);
  if ("expected" in target) throw refusal(field, `expected ${target.expected}; unknown field ${name}`);
  const isWhole = target.path.length === 0 && (target.kind === "json" || target.kind === "labels");
  if (isWhole) throw refusal(field, `expected a member of ${name}`);
  if (target.kind === "list") throw refusal(field, `expected a field with one value; ${name} is a list`);
  return { target, end: read.end };
}
