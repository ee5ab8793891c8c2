import { Invalid } from "../faults.ts";
import { textFault } from "../json.ts";
import { readPath } from "./filter.ts";
import { type Fields, resolveTarget, type Target } from "./queryable.ts";

/** What rows are sorted by. A row that lacks the field comes as the smallest. */
export type Term = { readonly target: Target; readonly isDescending: boolean };

const mostTerms = 8;
const longest = 1_024;

/** Reads "duration_ms desc, created_at", as AIP-132 has it. */
export function readOrder(text: string, fields: Fields): readonly Term[] {
  if (text.trim() === "") return [];
  checkText(text, "order_by");
  const terms: Term[] = [];
  for (let at = 0; ; ) {
    at += blanks(text, at);
    const { target, end } = readTarget(text, at, fields, "order_by");
    const rest = /\s*(?:\s(asc|desc))?\s*(,|$)/y;
    rest.lastIndex = end;
    const found = rest.exec(text);
    if (!found) throw refusal("order_by", `expected asc, desc, a comma or the end at position ${end + 1}`);
    if (terms.some((term) => key(term.target) === key(target)))
      throw refusal("order_by", `${key(target)} stands there twice`);
    terms.push({ target, isDescending: found[1] === "desc" });
    if (terms.length > mostTerms) throw refusal("order_by", `has more than ${mostTerms} fields`);
    if (found[2] === "") return terms;
    at = rest.lastIndex;
  }
}

/** Reads fields that rows are grouped by, each as it was named. */
export function readTargets(names: readonly string[], fields: Fields, field: string): readonly Target[] {
  if (names.length > mostTerms) throw refusal(field, `has more than ${mostTerms} fields`);
  const seen = new Set<string>();
  return names.map((name, index) => {
    const path = `${field}[${index}]`;
    checkText(name, path);
    const { target, end } = readTarget(name, 0, fields, path);
    if (end < name.length) throw refusal(path, `expected the end at position ${end + 1}`);
    if (seen.has(key(target))) throw refusal(path, "stands there twice");
    seen.add(key(target));
    return target;
  });
}

const key = ({ field, path }: Target) => [field, ...path].join(".");
const refusal = (field: string, description: string) =>
  Invalid.at("REQUEST_INVALID", field, description, "order");
const blanks = (text: string, at: number) => /^\s*/.exec(text.slice(at))?.[0].length ?? 0;

function checkText(text: string, field: string): void {
  const fault = text.length > longest ? `is longer than ${longest} characters` : textFault(text);
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
  if ("expected" in target) throw refusal(field, `expected ${target.expected}; there is no ${name}`);
  const isWhole = target.path.length === 0 && (target.kind === "json" || target.kind === "labels");
  if (isWhole) throw refusal(field, `expected a member of ${name}`);
  if (target.kind === "list")
    throw refusal(field, `expected a field that a row has once, which ${name} is not`);
  return { target, end: read.end };
}
