import { maxCharacters } from "../bounds.ts";

/** The type of a field or of a part of one, as a tree. */
export type Type =
  | { readonly kind: "str" | "int" | "float" | "bool" }
  | { readonly kind: "literal"; readonly values: readonly string[] }
  | { readonly kind: "list"; readonly element: Type }
  | { readonly kind: "dict"; readonly key: "str" | "int"; readonly value: Type }
  | { readonly kind: "optional"; readonly of: Type };

/** Thrown when a notation can't be parsed; the message says where and why. */
export class TypeNotationError extends Error {}

const scalars: Record<string, "str" | "int" | "float" | "bool"> = {
  str: "str",
  string: "str",
  int: "int",
  integer: "int",
  float: "float",
  bool: "bool",
  boolean: "bool",
};
const maxLength = maxCharacters.type;
const maxDepth = 32;

/**
 * Parses DSPy's notation: `list[str]`, `dict[str, float]`, `Literal["a", "b"]`, `Optional[int]`,
 * `int | None`; "" is str.
 */
export function parseType(notation: string): Type {
  if (notation.trim() === "") return { kind: "str" };
  if (notation.length > maxLength) throw new TypeNotationError(`must have at most ${maxLength} characters`);
  const reader = createReader(notation);
  const type = readUnion(reader, 0);
  reader.end();
  return type;
}

/** Formats a type in its canonical notation; parseType reads it back. */
export function formatType(type: Type): string {
  switch (type.kind) {
    case "literal":
      return `Literal[${type.values.map((value) => JSON.stringify(value)).join(", ")}]`;
    case "list":
      return `list[${formatType(type.element)}]`;
    case "dict":
      return `dict[${type.key}, ${formatType(type.value)}]`;
    case "optional":
      return `Optional[${formatType(type.of)}]`;
    default:
      return type.kind;
  }
}

type Reader = ReturnType<typeof createReader>;

/** Tokens are names, strings, and the signs [ ] , | */
function createReader(text: string) {
  let at = 0;
  const blanks = /\s*/y;
  const names = /[A-Za-z_][A-Za-z0-9_.]*/y;
  const strings = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/y;

  function match(pattern: RegExp): string | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  }
  function token(pattern: RegExp): string | undefined {
    match(blanks);
    return match(pattern);
  }
  function fail(expected: string): never {
    match(blanks);
    const found = at >= text.length ? "its end" : `${JSON.stringify(text.slice(at, at + 12))}`;
    throw new TypeNotationError(`at character ${at + 1}: expected ${expected}, found ${found}`);
  }
  return {
    fail,
    name: () => token(names),
    string: () => token(strings),
    /** Consumes the sign if it is next; returns whether it was. */
    sign(sign: string): boolean {
      match(blanks);
      if (text[at] !== sign) return false;
      at += 1;
      return true;
    },
    expect(sign: string): void {
      if (!this.sign(sign)) fail(`"${sign}"`);
    },
    end(): void {
      match(blanks);
      if (at < text.length) fail("the end");
    },
  };
}

/** `T | None` and `None | T` mean Optional[T]. */
function readUnion(reader: Reader, depth: number): Type {
  if (depth > maxDepth) throw new TypeNotationError(`must nest at most ${maxDepth} levels deep`);
  const first = readOne(reader, depth);
  if (!reader.sign("|")) return first ?? reader.fail("a type other than None");
  const second = readOne(reader, depth);
  if ((first === undefined) === (second === undefined) || reader.sign("|"))
    return reader.fail("a union of one type and None");
  return optional(first ?? (second as Type));
}

/** Reads a type; undefined for None. */
function readOne(reader: Reader, depth: number): Type | undefined {
  const written = reader.name() ?? reader.fail("a type");
  const name = written.replace(/^typing\./, "");
  const scalar = Object.hasOwn(scalars, name) ? scalars[name] : undefined;
  if (scalar) return { kind: scalar };
  switch (name) {
    case "None":
      return undefined;
    case "list":
    case "List":
      return inBrackets(reader, name, () => ({ kind: "list", element: readUnion(reader, depth + 1) }));
    case "dict":
    case "Dict":
      return inBrackets(reader, name, () => readDict(reader, depth));
    case "Optional":
      return inBrackets(reader, name, () => optional(readUnion(reader, depth + 1)));
    case "Literal":
      return inBrackets(reader, name, () => readLiteral(reader));
  }
  const isKnownToDspy = /^[A-Z]/.test(name) || name === "datetime";
  throw new TypeNotationError(
    `${isKnownToDspy ? "unsupported" : "unknown"} type ${JSON.stringify(written)}; expected ${known}`,
  );
}

const known = 'str, int, float, bool, list[T], dict[K, T], Literal["a", "b"] or Optional[T]';

function inBrackets(reader: Reader, name: string, read: () => Type): Type {
  if (!reader.sign("[")) reader.fail(`"[" after ${name}, as in list[str]`);
  const type = read();
  reader.expect("]");
  return type;
}

function readDict(reader: Reader, depth: number): Type {
  const key = scalars[reader.name() ?? reader.fail("str or int as the type of keys")];
  if (key !== "str" && key !== "int") return reader.fail("str or int as the type of keys");
  reader.expect(",");
  return { kind: "dict", key, value: readUnion(reader, depth + 1) };
}

function readLiteral(reader: Reader): Type {
  const values: string[] = [];
  do {
    const string = reader.string() ?? reader.fail('a string, as in Literal["a", "b"]');
    const value = unquote(string);
    if (!values.includes(value)) values.push(value);
  } while (reader.sign(","));
  return { kind: "literal", values };
}

const escapes: Record<string, string> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "/": "/",
};

function unquote(string: string): string {
  return string.slice(1, -1).replace(/\\(u[0-9a-fA-F]{4}|.)/gs, (whole, escaped: string) => {
    if (escaped.length > 1) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    return escapes[escaped] ?? whole;
  });
}

function optional(of: Type): Type {
  return of.kind === "optional" ? of : { kind: "optional", of };
}
