import { maxCharacters } from "../bounds.ts";
import { Invalid } from "../faults.ts";
import { textFault } from "../json.ts";

export type Comparator = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":";

/** A word of the filter, and the index at which it begins. */
export type Word = { readonly text: string; readonly isQuoted: boolean; readonly at: number };

/** A parsed filter whose fields are not resolved yet. The argument "*" tests for presence. */
export type Filter =
  | { readonly op: "and" | "or"; readonly of: readonly Filter[] }
  | { readonly op: "not"; readonly of: Filter }
  | {
      readonly op: "compare";
      readonly path: readonly Word[];
      readonly comparator: Comparator;
      readonly argument: Word | "*";
    };

const maxDepth = 32;
const maxComparisons = 256;

/**
 * Parses a filter of AIP-160; null for an empty filter. OR binds tighter than AND, and AND is
 * optional.
 */
export function parseFilter(text: string): Filter | null {
  if (text.length > maxCharacters.filter)
    throw filterFault(text, maxCharacters.filter, `expected at most ${maxCharacters.filter} characters`);
  const fault = textFault(text);
  if (fault) throw filterFault(text, text.search(/\0|\p{Surrogate}/u), `the filter ${fault}`);
  if (text.trim() === "") return null;
  let at = 0;
  let comparisons = 0;

  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const skipBlanks = () => void take(/\s*/y);
  const refuse = (expected: string): never => {
    const found =
      at < text.length
        ? `found ${JSON.stringify([...text.slice(at, at + 20)].join("").split(/\s/)[0] || " ")}`
        : "the filter ends";
    throw filterFault(text, at, `expected ${expected}, but ${found}`);
  };

  /** Terms joined by AND or by blanks. */
  function conjunction(depth: number): Filter {
    const of = [disjunction(depth)];
    for (;;) {
      skipBlanks();
      if (at === text.length || text[at] === ")") return joined("and", of);
      take(/AND(?![\w.-])/y);
      of.push(disjunction(depth));
    }
  }

  function disjunction(depth: number): Filter {
    const of = [term(depth)];
    for (;;) {
      skipBlanks();
      if (take(/OR(?![\w.-])/y) === undefined) return joined("or", of);
      of.push(term(depth));
    }
  }

  function term(depth: number): Filter {
    skipBlanks();
    if (depth > maxDepth) refuse(`at most ${maxDepth} levels of NOT, - and parentheses`);
    if (take(/NOT(?![\w.-])|-/y) !== undefined) return { op: "not", of: term(depth + 1) };
    const opened = at;
    if (take(/\(/y) === undefined) return comparison();
    const inner = conjunction(depth + 1);
    if (take(/\)/y) === undefined)
      refuse(`AND, OR or the ")" of the "(" at position ${position(text, opened)}`);
    return inner;
  }

  function comparison(): Filter {
    if (++comparisons > maxComparisons) refuse(`at most ${maxComparisons} comparisons`);
    if (/(AND|OR)(?![\w.-])/y.test(text.slice(at))) refuse("a field, NOT, - or (");
    const read = readPath(text, at);
    if (typeof read === "number") {
      at = read;
      return refuse(comparisons === 1 && at === 0 ? "a field" : "a field, NOT, - or (");
    }
    at = read.end;
    skipBlanks();
    const comparator = take(/!=|<=|>=|[=<>:]/y) as Comparator | undefined;
    if (!comparator)
      return refuse(
        `=, !=, <, <=, >, >= or : after ${JSON.stringify(text.slice(read.path[0]?.at, read.end))}`,
      );
    skipBlanks();
    const began = at;
    if (comparator === ":" && take(/\*(?=[\s)]|$)/y))
      return { op: "compare", path: read.path, comparator, argument: "*" };
    if (text[at] === '"' || text[at] === "'") {
      const quoted = readQuoted(text, at);
      if (typeof quoted === "number") {
        at = quoted;
        return refuse(
          at < text.length ? "one of \\\", \\', \\\\, \\n, \\r, \\t" : `the closing ${text[began]}`,
        );
      }
      at = quoted.end;
      return {
        op: "compare",
        path: read.path,
        comparator,
        argument: { text: quoted.text, isQuoted: true, at: began },
      };
    }
    const bare = take(/[^\s()"'=<>!,*]+/y);
    if (bare === undefined || /^(AND|OR|NOT)$/.test(bare)) {
      at = began;
      return refuse(text[at] === "*" ? 'a value ("*" stands alone, after ":")' : "a value");
    }
    return {
      op: "compare",
      path: read.path,
      comparator,
      argument: { text: bare, isQuoted: false, at: began },
    };
  }

  const filter = conjunction(0);
  if (at < text.length) refuse("AND, OR or the end");
  return filter;
}

function joined(op: "and" | "or", of: readonly Filter[]): Filter {
  return of.length === 1 ? (of[0] as Filter) : { op, of };
}

/** Reads a field's path, such as `outputs.scores."a b"`; returns the index of an error, if any. */
export function readPath(text: string, from: number): { path: Word[]; end: number } | number {
  const path: Word[] = [];
  for (let at = from; ; at++) {
    const bare = match(/[A-Za-z_][\w-]*/y, text, at);
    const quoted = path.length > 0 && text[at] === '"' ? readQuoted(text, at) : undefined;
    if (typeof quoted === "number") return quoted;
    if (bare === undefined && quoted === undefined) return at;
    path.push({ text: quoted?.text ?? (bare as string), isQuoted: quoted !== undefined, at });
    at = quoted?.end ?? at + (bare as string).length;
    if (text[at] !== ".") return { path, end: at };
  }
}

const escapes: Record<string, string> = { '"': '"', "'": "'", "\\": "\\", n: "\n", r: "\r", t: "\t" };

/** Reads a quoted text; returns the index of an error, if any. */
function readQuoted(text: string, from: number): { text: string; end: number } | number {
  let read = "";
  for (let at = from + 1; at < text.length; at++) {
    const character = text[at] as string;
    if (character === text[from]) return { text: read, end: at + 1 };
    if (character !== "\\") {
      read += character;
      continue;
    }
    const escaped = Object.hasOwn(escapes, text[at + 1] ?? "") ? escapes[text[at + 1] as string] : undefined;
    if (escaped === undefined) return at + 1;
    read += escaped;
    at++;
  }
  return text.length;
}

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** A position in characters, counted from 1 as in an editor. */
function position(text: string, at: number): number {
  return [...text.slice(0, at)].length + 1;
}

/** The fault of a filter, with its position. */
export function filterFault(text: string, at: number, description: string): Invalid {
  return Invalid.at(
    "FILTER_INVALID",
    "filter",
    `at position ${position(text, at)}: ${description}`,
    "filter",
  );
}
