import { type AnySchema, mixed, ValidationError } from "yup";
import { decimalNumber } from "../json.ts";
import { maxViolations, pathTo, pathUnder } from "../violations.ts";
import { compilePattern } from "./pattern.ts";
import type { Constraints, Field } from "./signature.ts";
import type { Type } from "./type.ts";

/** The yup schema of a field: type, constraints and default. */
export function fieldSchema({
  type,
  constraints,
  defaultValue,
}: Omit<Field, "name" | "description">): AnySchema {
  let schema = constrain(typeSchema(type), type.kind === "optional" ? type.of : type, constraints);
  // A copy each time, so that a program can't change the default of the next run.
  if (defaultValue !== undefined) schema = schema.default(() => structuredClone(defaultValue));
  return schema;
}

/**
 * Coerces values if no information is lost, and refuses others. yup's own coercions would read
 * "0x10" as a number.
 */
function typeSchema(type: Type): AnySchema {
  switch (type.kind) {
    case "str":
      return scalar("a string", (value) => (isPlain(value) ? String(value) : value), isString);
    case "int":
      return scalar(
        "a whole number between -(2^53-1) and 2^53-1",
        (value) => numberOf(value, wholeNumber),
        Number.isSafeInteger,
      );
    case "float":
      return scalar("a finite number", (value) => numberOf(value, decimalNumber), Number.isFinite);
    case "bool":
      return scalar("true or false", booleanOf, (value) => typeof value === "boolean");
    case "literal": {
      const choices = type.values.map((choice) => JSON.stringify(choice)).join(", ");
      const literal = scalar("a string", (value) => (isPlain(value) ? String(value) : value), isString);
      return literal.test({
        name: "literal",
        message: `must be one of ${choices}`,
        test: (value) => isAbsent(value) || type.values.includes(String(value)),
      });
    }
    case "optional":
      return typeSchema(type.of).nullable().default(null);
    case "list":
      return listSchema(type);
    case "dict":
      return dictSchema(type);
  }
}

const isString = (value: unknown) => typeof value === "string";
const isAbsent = (value: unknown) => value === undefined || value === null;
/** Numbers and booleans are coerced to text, since each has exactly one. */
const isPlain = (value: unknown) =>
  typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));

function scalar(
  what: string,
  transform: (value: unknown) => unknown,
  check: (value: unknown) => boolean,
): AnySchema {
  return mixed({ type: "scalar", check: (value): value is NonNullable<unknown> => check(value) })
    .transform(transform)
    .typeError(`must be ${what}`)
    .defined("is missing")
    .nonNullable(`must be ${what}, not null`);
}

const wholeNumber = /^[+-]?\d+$/;

function numberOf(value: unknown, notation: RegExp): unknown {
  const number = typeof value === "string" && notation.test(value.trim()) ? Number(value) : value;
  // -0 would become 0 in PostgreSQL, and on its way through JSON.
  return number === 0 ? 0 : number;
}

function booleanOf(value: unknown): unknown {
  return typeof value === "string" && /^(true|false)$/i.test(value) ? value.toLowerCase() === "true" : value;
}

/** Written by hand: yup's array overflows the stack if 130,000 elements are wrong. */
function listSchema({ element }: Type & { kind: "list" }): AnySchema {
  const member = typeSchema(element);
  const cast = (list: unknown) =>
    Array.isArray(list) ? list.map((part) => member.cast(part, { assert: false })) : list;

  return scalar("a list", cast, Array.isArray).test({
    name: "members",
    test(list, context) {
      if (!Array.isArray(list)) return true;
      const errors: ValidationError[] = [];
      for (const [index, part] of list.entries()) {
        if (errors.length >= maxViolations) break;
        errors.push(...errorsOf(member, part, () => pathTo(context.path, index)));
      }
      return errors.length === 0 || new ValidationError(errors, list, context.path, "members", true);
    },
  });
}

/** Written by hand: yup's lazy reverses the order of keys, and loses "__proto__". */
function dictSchema({ key, value }: Type & { kind: "dict" }): AnySchema {
  const member = typeSchema(value);
  const isDict = (dict: unknown): dict is Record<string, unknown> =>
    typeof dict === "object" && dict !== null && !Array.isArray(dict);
  const cast = (dict: unknown) =>
    isDict(dict)
      ? Object.fromEntries(
          Object.entries(dict).map(([name, part]) => [name, member.cast(part, { assert: false })]),
        )
      : dict;

  return scalar("an object", cast, isDict).test({
    name: "members",
    test(dict, context) {
      if (!isDict(dict)) return true;
      const errors: ValidationError[] = [];
      for (const [name, part] of Object.entries(dict)) {
        if (errors.length >= maxViolations) break;
        const path = () => pathTo(context.path, name);
        if (key === "int" && !isWholeKey(name)) {
          const message = "the key must be a whole number in plain digits";
          errors.push(new ValidationError(message, name, path(), "key", true));
        }
        errors.push(...errorsOf(member, part, path));
      }
      return errors.length === 0 || new ValidationError(errors, dict, context.path, "members", true);
    },
  });
}

/** Refuses "07", which would be the same key as "7" in Python. */
function isWholeKey(key: string): boolean {
  return /^(0|-?[1-9]\d*)$/.test(key) && Number.isSafeInteger(Number(key));
}

/** The errors of a list's element or a dict's member, each with the path from the root. */
function errorsOf(member: AnySchema, part: unknown, path: () => string): ValidationError[] {
  try {
    member.validateSync(part, { strict: true, abortEarly: false, disableStackTrace: true });
    return [];
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    const leaves = error.inner.length > 0 ? error.inner : [error];
    return leaves.map(
      ({ message, value, path: inner = "", type }) =>
        new ValidationError(message, value, pathUnder(path(), inner), type, true),
    );
  }
}

function constrain(
  schema: AnySchema,
  type: Type,
  { minLength, maxLength, min, max, gt, lt, pattern }: Constraints,
): AnySchema {
  const tests: [name: string, message: string, holds: (value: never) => boolean][] = [];
  const unit = type.kind === "str" ? "characters" : "elements";
  if (minLength !== undefined)
    tests.push([
      "length",
      `must have at least ${minLength} ${unit}`,
      (value) => lengthOf(value) >= minLength,
    ]);
  if (maxLength !== undefined)
    tests.push(["length", `must have at most ${maxLength} ${unit}`, (value) => lengthOf(value) <= maxLength]);
  if (min !== undefined) tests.push(["range", `must be at least ${min}`, (value) => value >= min]);
  if (max !== undefined) tests.push(["range", `must be at most ${max}`, (value) => value <= max]);
  if (gt !== undefined) tests.push(["range", `must be greater than ${gt}`, (value) => value > gt]);
  if (lt !== undefined) tests.push(["range", `must be less than ${lt}`, (value) => value < lt]);
  const matches = pattern === undefined ? undefined : compilePattern(pattern);
  if (matches) tests.push(["pattern", `must match ${pattern}`, (value) => matches(value)]);
  return tests.reduce(
    (constrained, [name, message, holds]) =>
      constrained.test({
        name,
        message,
        exclusive: false,
        test: (value) => isAbsent(value) || holds(value as never),
      }),
    schema,
  );
}

/** The length of a string in code points, of a list or dict in elements. */
function lengthOf(value: unknown): number {
  if (typeof value === "string") return [...value].length;
  return Array.isArray(value) ? value.length : Object.keys(value as object).length;
}
