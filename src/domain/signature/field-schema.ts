import { type AnySchema, array, mixed, ValidationError } from "yup";
import { pathTo } from "../json.ts";
import { compilePattern } from "./pattern.ts";
import type { Constraints, Field } from "./signature.ts";
import type { Type } from "./type.ts";

/** The yup schema of a field: its type's, its constraints', its default. */
export function fieldSchema({
  type,
  constraints,
  defaultValue,
}: Omit<Field, "name" | "description">): AnySchema {
  let schema = constrain(typeSchema(type), type.kind === "optional" ? type.of : type, constraints);
  // A copy each time, so that nobody changes it for the next.
  if (defaultValue !== undefined) schema = schema.default(() => structuredClone(defaultValue));
  return schema;
}

/** The table of design decision 2: what is coerced, since nothing is lost, and what is refused. yup's own coercions take "0x10" for a number. */
function typeSchema(type: Type): AnySchema {
  switch (type.kind) {
    case "str":
      return scalar("a string", (value) => (isPlain(value) ? String(value) : value), isString);
    case "int":
      return scalar(
        "a whole number between -(2^53-1) and 2^53-1",
        (value) => numberOf(value, wholeNumbers),
        Number.isSafeInteger,
      );
    case "float":
      return scalar("a finite number", (value) => numberOf(value, numbers), Number.isFinite);
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
      return array()
        .of(typeSchema(type.element))
        .typeError("must be a list")
        .defined("is missing")
        .nonNullable("must be a list, not null");
    case "dict":
      return dictSchema(type);
  }
}

const isString = (value: unknown) => typeof value === "string";
const isAbsent = (value: unknown) => value === undefined || value === null;
/** Numbers and booleans have one text each. */
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

const wholeNumbers = /^\s*[+-]?\d+\s*$/;
const numbers = /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/;

function numberOf(value: unknown, notation: RegExp): unknown {
  const number = typeof value === "string" && notation.test(value) ? Number(value) : value;
  // -0 is 0 to all whom it meets on the way: JSON in Python, PostgreSQL.
  return number === 0 ? 0 : number;
}

function booleanOf(value: unknown): unknown {
  return typeof value === "string" && /^(true|false)$/i.test(value) ? value.toLowerCase() === "true" : value;
}

/** By hand: yup's lazy turns the order of keys around, and loses "__proto__". */
function dictSchema({ key, value }: Type & { kind: "dict" }): AnySchema {
  const member = typeSchema(value);
  const isDict = (dict: unknown): dict is Record<string, unknown> =>
    typeof dict === "object" && dict !== null && !Array.isArray(dict);
  const castMembers = (dict: unknown) =>
    isDict(dict)
      ? Object.fromEntries(
          Object.entries(dict).map(([name, part]) => [name, member.cast(part, { assert: false })]),
        )
      : dict;

  const dict = scalar("an object", castMembers, isDict);
  return dict.test({
    name: "members",
    test(members, context) {
      if (!isDict(members)) return true;
      const errors = Object.entries(members).flatMap(([name, part]) => [
        ...(key === "int" && !isWholeKey(name)
          ? [
              new ValidationError(
                "the key must be a whole number in plain digits",
                name,
                pathTo(context.path, name),
                "key",
                true,
              ),
            ]
          : []),
        ...errorsOf(
          () => member.validateSync(part, { strict: true, abortEarly: false, disableStackTrace: true }),
          pathTo(context.path, name),
        ),
      ]);
      return errors.length === 0 || new ValidationError(errors, members, context.path, "members", true);
    },
  });
}

/** "07" and "7" would be one key to Python. */
function isWholeKey(key: string): boolean {
  return /^(0|-?[1-9]\d*)$/.test(key) && Number.isSafeInteger(Number(key));
}

/** The errors of a validation of a part, with the part's path before their own. */
function errorsOf(validate: () => unknown, path: string): ValidationError[] {
  try {
    validate();
    return [];
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    const leaves = error.inner.length > 0 ? error.inner : [error];
    return leaves.map(({ message, value, path: inner = "", type }) => {
      const whole = inner === "" || inner.startsWith("[") ? `${path}${inner}` : `${path}.${inner}`;
      return new ValidationError(message, value, whole, type, true);
    });
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

/** Of a string in code points, of a list or dict in elements. */
function lengthOf(value: unknown): number {
  if (typeof value === "string") return [...value].length;
  return Array.isArray(value) ? value.length : Object.keys(value as object).length;
}
