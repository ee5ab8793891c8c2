import type { Json } from "../../src/domain/json.ts";
import type { Condition, Operand } from "../../src/domain/query/condition.ts";
import type { Term } from "../../src/domain/query/order.ts";
import type { Target } from "../../src/domain/query/queryable.ts";

/**
 * A row by the names of its fields; null for a field without a value. Times are ISO texts, whose
 * order as texts is their order in time.
 */
export type Fields = Readonly<Record<string, Json>>;

/** Whether a row meets a condition, by the rules of docs/queries.md and without a database. */
export function meets(condition: Condition | null, row: Fields): boolean {
  if (condition === null) return true;
  switch (condition.op) {
    case "and":
      return condition.of.every((one) => meets(one, row));
    case "or":
      return condition.of.some((one) => meets(one, row));
    case "not":
      return !meets(condition.of, row);
  }
  const value = valueAt(condition.target, row);
  switch (condition.op) {
    case "present":
      return valuesAt(condition.target, row).some((one) => isPresent(condition.target, one));
    case "has":
      return valuesAt(condition.target, row).some((one) =>
        has(condition.target, one, condition.value, condition.text),
      );
  }
  if (value === null) return false;
  switch (condition.op) {
    case "=":
      return value === condition.value;
    case "!=":
      return value !== condition.value;
  }
  if (typeof value !== typeof condition.value) return false;
  const order = compare(value as string | number, condition.value as string | number);
  return { "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0 }[condition.op];
}

/** Compares two rows by an order. */
export function compareRows(order: readonly Term[], a: Fields, b: Fields): number {
  for (const { target, isDescending } of order) {
    const found = compareValues(keyAt(target, a), keyAt(target, b));
    if (found !== 0) return isDescending ? -found : found;
  }
  return 0;
}

/** The value by which a row is sorted and grouped. A label that the row lacks counts as "". */
export function keyAt(target: Target, row: Fields): Json {
  return valueAt(target, row) ?? (target.kind === "labels" ? "" : null);
}

function valueAt({ field, kind, path }: Target, row: Fields): Json {
  const whole = row[field] ?? null;
  if (kind === "labels" && path[0] !== undefined) return (whole as Fields)[path[0]] ?? null;
  return path.reduce<Json>(
    (value, name) => (isObject(value) && Object.hasOwn(value, name) ? (value[name] as Json) : null),
    whole,
  );
}

/** All values that a path leads to, also through lists, without null. */
function valuesAt(target: Target, row: Fields): Json[] {
  const { field, kind, path } = target;
  const [list, member] = field.split(".") as [string, string];
  const found = (names: readonly string[], from: Json) =>
    names.reduce<Json[]>((values, name) => values.flatMap((value) => membersOf(value, name)), [from]);
  const stored = { raw_answer: "rawAnswer", finish_reason: "finishReason" }[member] ?? member;
  const values =
    kind === "list"
      ? found([stored, ...path], row[list] ?? null)
      : kind === "json"
        ? found(path, row[field] ?? null)
        : [valueAt(target, row)];
  return values.filter((value) => value !== null);
}

/** The members of an object, or of the objects in a list; a list inside a list has none. */
function membersOf(value: Json, name: string): Json[] {
  const objects = Array.isArray(value) ? value : [value];
  return objects.flatMap((one) => (isObject(one) && Object.hasOwn(one, name) ? [one[name] as Json] : []));
}

function isPresent({ kind, path }: Target, value: Json): boolean {
  if (kind === "text" || (kind === "list" && path.length === 0)) return value !== "";
  return kind === "labels" && path.length === 0 ? Object.keys(value as Fields).length > 0 : true;
}

function has({ path, kind }: Target, value: Json, wanted: Operand, text: string): boolean {
  if (kind !== "text" && kind !== "list" && path.length === 0) return Object.hasOwn(value as Fields, text);
  if (typeof value === "string") return value.toLowerCase().includes(text.toLowerCase());
  if (Array.isArray(value)) return value.includes(wanted) || value.includes(text);
  return isObject(value) ? Object.hasOwn(value, text) : value === wanted;
}

/** Orders null first, then texts by their bytes, then numbers. */
function compareValues(a: Json, b: Json): number {
  if (typeof a !== typeof b) return rank(a) - rank(b);
  return a === null || b === null ? 0 : compare(a as string | number, b as string | number);
}

const rank = (value: Json) => ["object", "string", "number"].indexOf(typeof value);

function compare(a: string | number, b: string | number): number {
  if (typeof a === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  return a - (b as number);
}

const isObject = (value: Json): value is { [name: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value);
