import { type AnySchema, mixed, ValidationError } from "yup";
import { codePoints } from "../bounds.ts";
import { type Coercion, coercionOf, type MemberFault, refusalOf } from "./coercion.ts";
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

const isAbsent = (value: unknown) => value === undefined || value === null;

/** The field itself is yup's; the members of lists and dicts are coercion.ts's. */
function typeSchema(type: Type): AnySchema {
  const coercion = coercionOf(type);
  const { what, isNullable, coerce, fits } = coercion;
  const schema = mixed({ type: "value", check: (value): value is NonNullable<unknown> => fits(value) })
    .transform(coerce)
    .typeError(({ value }: { value: unknown }) => refusalOf(coercion, value))
    .test({
      name: "members",
      test: (value, { path }) => isAbsent(value) || checkMembers(coercion, value, path),
    });
  return isNullable
    ? schema.nullable().default(null)
    : schema.defined("is missing").nonNullable(`must be ${what}, not null`);
}

function checkMembers({ addFaults }: Coercion, value: unknown, path: string): true | ValidationError {
  const found: MemberFault[] = [];
  addFaults(value, () => path, found);
  if (found.length === 0) return true;
  const errors = found.map(
    (fault) => new ValidationError(fault.message, fault.value, fault.path, fault.type, true),
  );
  return new ValidationError(errors, value, path, "members", true);
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
  const compiled = pattern === undefined ? undefined : compilePattern(pattern);
  if (compiled) {
    const { maxCharacters, matches } = compiled;
    const isShort = (value: string) => value.length <= maxCharacters;
    tests.push(["length", `must have at most ${maxCharacters} characters, for its pattern`, isShort]);
    tests.push(["pattern", `must match ${pattern}`, (value) => !isShort(value) || matches(value)]);
  }
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
  if (typeof value === "string") return codePoints(value);
  return Array.isArray(value) ? value.length : Object.keys(value as object).length;
}
