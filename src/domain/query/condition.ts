import { decimalNumber } from "../json.ts";
import { isHandle } from "../program/handle.ts";
import { isUuid } from "../uuid.ts";
import { type Comparator, type Filter, filterFault, parseFilter, type Word } from "./filter.ts";
import { type Fields, type Kind, resolveTarget, type Target } from "./queryable.ts";
import { readTime } from "./time.ts";

export type Comparison = Exclude<Comparator, ":">;
export type Operand = string | number | boolean;

/**
 * A filter with resolved fields and typed values. A row without the field matches no comparison, so
 * that "not" of it is true. Enum names are in lower case, times in UTC, durations in milliseconds.
 */
export type Condition =
  | { readonly op: "and" | "or"; readonly of: readonly Condition[] }
  | { readonly op: "not"; readonly of: Condition }
  | { readonly op: "present"; readonly target: Target }
  /**
   * Contains: for text, labels and members of JSON (any element, if the path crosses a list).
   * `text` is the value as written.
   */
  | { readonly op: "has"; readonly target: Target; readonly value: Operand; readonly text: string }
  | { readonly op: Comparison; readonly target: Target; readonly value: Operand };

/** Reads a filter over the fields of a resource; null for an empty filter. */
export function readCondition(text: string, fields: Fields): Condition | null {
  const filter = parseFilter(text);
  return filter && check(filter, text, fields);
}

function check(filter: Filter, text: string, fields: Fields): Condition {
  if (filter.op === "not") return { op: "not", of: check(filter.of, text, fields) };
  if (filter.op !== "compare") return { op: filter.op, of: filter.of.map((one) => check(one, text, fields)) };
  const { path, comparator, argument } = filter;
  const target = resolveTarget(fields, path);
  const name = path.map((word) => word.text).join(".");
  const refuse = (at: number, expected: string) => filterFault(text, at, `expected ${expected}`);
  if ("expected" in target) throw refuse(target.at, `${target.expected}; unknown field ${name}`);
  if (argument === "*") return { op: "present", target };

  const { kind } = target;
  const isWhole = target.path.length === 0 && (kind === "json" || kind === "labels");
  if (isWhole && comparator !== ":")
    throw refuse(
      path[0]?.at ?? 0,
      `a member of ${name}, such as ${name}.${kind === "json" ? "field" : "team"}`,
    );
  if (kind === "list" && comparator !== ":")
    throw refuse(argument.at, `: before this, as ${name} is of each step`);
  const isOrdered =
    !isWhole && kind !== "uuid" && kind !== "program" && !(typeof kind === "object" && "enum" in kind);
  if (!isOrdered && /[<>]/.test(comparator))
    throw refuse(argument.at, `=, != or : before this, as ${name} has no order`);
  if (kind === "json" && typeof operandOf(kind, argument) === "boolean" && /[<>]/.test(comparator))
    throw refuse(argument.at, "a number or a text after < and >");
  const value = operandOf(kind, argument);
  if (value === undefined) throw refuse(argument.at, `${expectedOf(kind)}, as ${name} is one`);
  if (comparator !== ":") return { op: comparator, target, value };
  const isLoose = kind === "json" || kind === "list" || kind === "labels" || kind === "text";
  return isLoose ? { op: "has", target, value, text: argument.text } : { op: "=", target, value };
}

/**
 * The argument as a value of the field's kind; undefined if it is not one. In JSON, an unquoted
 * number, true or false is typed, the rest is text.
 */
function operandOf(kind: Kind, { text, isQuoted }: Word): Operand | undefined {
  if (kind === "text" || kind === "labels") return text;
  if (kind === "uuid") return isUuid(text) ? text.toLowerCase() : undefined;
  if (kind === "program") return isUuid(text) ? text.toLowerCase() : isHandle(text) ? text : undefined;
  if (kind === "time") return readTime(text);
  if (kind === "number" || kind === "fraction") return isQuoted ? undefined : numberOf(text);
  if (kind === "json" || kind === "list")
    return isQuoted ? text : text === "true" ? true : text === "false" ? false : (numberOf(text) ?? text);
  if ("enum" in kind) {
    const name = text.startsWith(kind.enum) ? text.slice(kind.enum.length) : text;
    return kind.names.includes(name) ? name.toLowerCase() : undefined;
  }
  const seconds = /^(.+)s$/.exec(text)?.[1];
  const number = isQuoted && seconds === undefined ? undefined : numberOf(seconds ?? text);
  const parts = seconds === undefined ? kind.duration : 1;
  // 1.001 * 1000 is 1000.9999999999999.
  return number === undefined ? undefined : Number(((number * 1_000) / parts).toPrecision(15));
}

function expectedOf(kind: Kind): string {
  if (kind === "uuid") return "a UUID";
  if (kind === "program") return "a program's UUID or handle";
  if (kind === "time") return "a time such as 2026-11-24T10:00:00Z, to the microsecond at most";
  if (typeof kind === "object" && "enum" in kind) return `one of ${kind.names.join(", ")}`;
  return typeof kind === "object" ? "a number or a duration such as 1.5s" : "a number without quotes";
}

function numberOf(text: string): number | undefined {
  if (!decimalNumber.test(text)) return undefined;
  const number = Number(text);
  return Number.isFinite(number) ? number + 0 : undefined;
}
