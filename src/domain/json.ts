import type { Violation } from "./faults.ts";

/** A value as JSON has it; objects keep every own key, "__proto__" too. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** How deep lists and objects may nest, the outermost counted: Python's protobuf refuses 34. */
export const maxDepth = 32;

/** How many violations are told; whoever sent more has enough to do. */
export const maxViolations = 100;

const longestKey = 100;

/** The path of a list's element or an object's member: `sources[2]`, `scores.k`, `scores["a b"]`. */
export function pathTo(parent: string, key: string | number): string {
  if (typeof key === "number") return `${parent}[${key}]`;
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(key)) return `${parent}[${JSON.stringify(shorten(key))}]`;
  return parent === "" ? key : `${parent}.${key}`;
}

/** A path from the root of a value, told from the root of what holds that value: `inputs.sources[2]`, `inputs["a b"]`. */
export function pathUnder(parent: string, path: string): string {
  return path === "" || path.startsWith("[") ? parent + path : `${parent}.${path}`;
}

/** What is wrong with a text that PostgreSQL and UTF-8 could not keep as it is; undefined for a sound one. */
export function textFault(text: string): string | undefined {
  if (text.includes("\0")) return "holds a NUL character";
  return text.isWellFormed() ? undefined : "holds a lone surrogate, which is no character";
}

/** What no JSON value of a caller's may hold, whatever its type: nesting too deep, NaN, Infinity, NUL, lone surrogates. */
export function checkJson(value: unknown, path: string, depth = maxDepth): Violation[] {
  const violations: Violation[] = [];
  visit(value, path, depth, violations);
  return violations;
}

function visit(value: unknown, path: string, depth: number, violations: Violation[]): void {
  if (violations.length >= maxViolations) return;
  const refuse = (description: string, reason: string) =>
    violations.push({ field: path, description, reason });
  switch (typeof value) {
    case "boolean":
      return;
    case "string": {
      const fault = textFault(value);
      if (fault) refuse(fault, "text");
      return;
    }
    case "number":
      if (!Number.isFinite(value)) refuse("must be a finite number", "type");
      return;
    case "object":
      break;
    default:
      refuse("is no JSON value", "type");
      return;
  }
  if (value === null) return;
  if (depth === 0) {
    refuse(`nests deeper than ${maxDepth} levels`, "depth");
    return;
  }
  if (Array.isArray(value)) {
    for (const [index, element] of value.entries())
      visit(element, pathTo(path, index), depth - 1, violations);
    return;
  }
  for (const [key, member] of Object.entries(value)) {
    const fault = textFault(key);
    if (fault) violations.push({ field: pathTo(path, key), description: `the key ${fault}`, reason: "text" });
    else visit(member, pathTo(path, key), depth - 1, violations);
  }
}

/** JSON with every object's keys sorted, so that equal values have equal texts; members that are undefined are left out. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

function shorten(key: string): string {
  return key.length > longestKey ? `${key.slice(0, longestKey)}…` : key;
}
