import { decimalNumber } from "../json.ts";
import { maxViolations, pathTo } from "../violations.ts";
import type { Type } from "./type.ts";

/** A wrong value inside a value. */
export type MemberFault = {
  readonly path: string;
  readonly message: string;
  readonly type: string;
  readonly value: unknown;
};

/**
 * Coerces values of a type if no information is lost, and finds what does not fit. Plain functions:
 * yup takes 50 times as long for each member, and a list may have a million.
 */
export type Coercion = {
  /** Such as "a whole number"; part of the message "must be ...". */
  readonly what: string;
  /** A further reason why a value does not fit, such as digits that it would lose. */
  readonly why?: (value: unknown) => string;
  readonly isNullable: boolean;
  coerce(value: unknown): unknown;
  /** Whether a coerced value is of the type, its members aside. */
  fits(value: unknown): boolean;
  /** Adds the faults inside a value that fits. The path is made only for a fault. */
  addFaults(value: unknown, path: () => string, found: MemberFault[]): void;
};

export function coercionOf(type: Type): Coercion {
  switch (type.kind) {
    case "str":
      return text;
    case "int":
      return scalar(
        "a whole number between -(2^53-1) and 2^53-1",
        (value) => withoutSign(numberOf(value, wholeNumber)),
        Number.isSafeInteger,
      );
    case "float":
      return scalar("a finite number", (value) => numberOf(value, decimalNumber), Number.isFinite);
    case "bool":
      return scalar("true or false", booleanOf, (value) => typeof value === "boolean");
    case "literal":
      return literal(type);
    case "optional":
      return { ...coercionOf(type.of), isNullable: true };
    case "list":
      return list(type);
    case "dict":
      return dict(type);
  }
}

function scalar(
  what: string,
  coerce: (value: unknown) => unknown,
  fits: (value: unknown) => boolean,
): Coercion {
  return { what, isNullable: false, coerce, fits, addFaults: () => {} };
}

function literal({ values }: Type & { kind: "literal" }): Coercion {
  const choices = new Set(values);
  const message = `must be one of ${values.map((choice) => JSON.stringify(choice)).join(", ")}`;
  return {
    ...text,
    addFaults(value, path, found) {
      if (!choices.has(String(value))) found.push({ path: path(), message, type: "literal", value });
    },
  };
}

function list({ element }: Type & { kind: "list" }): Coercion {
  const member = coercionOf(element);
  return {
    what: "a list",
    isNullable: false,
    coerce: (value) => (Array.isArray(value) ? value.map((part) => member.coerce(part)) : value),
    fits: Array.isArray,
    addFaults(value, path, found) {
      const parts = value as unknown[];
      for (let index = 0; index < parts.length && found.length < maxViolations; index++)
        addMemberFaults(member, parts[index], () => pathTo(path(), index), found);
    },
  };
}

function dict({ key, value: type }: Type & { kind: "dict" }): Coercion {
  const member = coercionOf(type);
  const isDict = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  return {
    what: "an object",
    isNullable: false,
    // fromEntries keeps a key "__proto__", which an assignment would lose.
    coerce: (value) =>
      isDict(value)
        ? Object.fromEntries(Object.entries(value).map(([name, part]) => [name, member.coerce(part)]))
        : value,
    fits: isDict,
    addFaults(value, path, found) {
      for (const [name, part] of Object.entries(value as Record<string, unknown>)) {
        if (found.length >= maxViolations) return;
        const own = () => pathTo(path(), name);
        if (key === "int" && !isWholeKey(name)) {
          const message = "the key must be a whole number in plain digits";
          found.push({ path: own(), message, type: "key", value: name });
        }
        addMemberFaults(member, part, own, found);
      }
    },
  };
}

/** Why a value that is not null does not fit. */
export const refusalOf = ({ what, why }: Coercion, value: unknown): string =>
  `must be ${what}${why?.(value) ?? ""}`;

function addMemberFaults(member: Coercion, value: unknown, path: () => string, found: MemberFault[]): void {
  if (value === null && !member.isNullable)
    found.push({ path: path(), message: `must be ${member.what}, not null`, type: "nullable", value });
  else if (value !== null && !member.fits(value))
    found.push({ path: path(), message: refusalOf(member, value), type: "typeError", value });
  else if (value !== null) member.addFaults(value, path, found);
}

/** Refuses "07", which would be the same key as "7" in Python. */
const isWholeKey = (key: string) => /^(0|-?[1-9]\d*)$/.test(key) && Number.isSafeInteger(Number(key));

const isString = (value: unknown) => typeof value === "string";

/** Numbers and booleans are coerced to text, since each has exactly one. */
const textOf = (value: unknown) =>
  typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value) && !losesDigits(value))
    ? String(value)
    : value;

/** Several integers beyond 2^53-1 are the same number in JSON and in a Struct. */
const losesDigits = (value: unknown) => Number.isInteger(value) && !Number.isSafeInteger(value);

const text: Coercion = {
  ...scalar("a string", textOf, isString),
  why: (value) =>
    losesDigits(value) ? "; a whole number beyond 2^53-1 loses digits, so write it as a string" : "",
};

const wholeNumber = /^[+-]?\d+$/;

function numberOf(value: unknown, notation: RegExp): unknown {
  return typeof value === "string" && notation.test(value.trim()) ? Number(value) : value;
}

/** An integer has no -0. A float has one, which DSPy shows to the model. */
const withoutSign = (value: unknown) => (value === 0 ? 0 : value);

function booleanOf(value: unknown): unknown {
  return typeof value === "string" && /^(true|false)$/i.test(value) ? value.toLowerCase() === "true" : value;
}
