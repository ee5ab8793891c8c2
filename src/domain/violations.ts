import { Invalid, type InvalidReason, type Violation } from "./faults.ts";

/** Maximum number of violations that a caller is told. Those beyond it are never made. */
export const maxViolations = 100;

/** Collects the violations of a value, each with its path: one violation per path. */
export type Violations = {
  /** Violations added so far, by every collector that shares this one's root. */
  readonly count: number;
  /** True at the maximum. A loop over a caller's values should end then. */
  readonly isFull: boolean;
  /** The collector of a part: `at("modules", 2)` adds to `modules[2]`. */
  at(...keys: readonly (string | number)[]): Violations;
  /** Adds a violation of a part. Two at the same path become one that says both. */
  add(key: string | number, description: string, reason: string): void;
  /** Adds a violation of the value itself. */
  addHere(description: string, reason: string): void;
  /** Adds violations whose paths begin at this value. */
  take(found: Iterable<Violation>): void;
  /** Calls `make` and returns its result. If it throws Invalid, takes its violations instead. */
  try<T>(make: () => Promise<T>): Promise<T | undefined>;
  try<T>(make: () => T): T | undefined;
  list(): readonly Violation[];
  fault(reason: InvalidReason): Invalid;
  throwIfAny(reason: InvalidReason): void;
};

/** A collector of the violations of a value that stands at `path` in its request. */
export const createViolations = (path = ""): Violations => new Collector(path, { count: 0 });

/** What the collectors of one request share. The map is made at the first violation. */
type Found = { byPath?: Map<string, Violation>; count: number };

/** A class, because every run makes some collectors: closures for each cost 10 times the CPU. */
class Collector implements Violations {
  readonly #path: string;
  readonly #found: Found;

  constructor(path: string, found: Found) {
    this.#path = path;
    this.#found = found;
  }

  get count() {
    return this.#found.count;
  }

  get isFull() {
    return this.#found.count >= maxViolations;
  }

  at(...keys: readonly (string | number)[]): Violations {
    return new Collector(keys.reduce<string>(pathTo, this.#path), this.#found);
  }

  add(key: string | number, description: string, reason: string): void {
    if (!this.isFull) this.#addAt(pathTo(this.#path, key), description, reason);
  }

  addHere(description: string, reason: string): void {
    if (!this.isFull) this.#addAt(this.#path, description, reason);
  }

  take(violations: Iterable<Violation>): void {
    for (const { field, description, reason } of violations) {
      if (this.isFull) return;
      this.#addAt(pathUnder(this.#path, field), description, reason);
    }
  }

  try<T>(make: () => Promise<T>): Promise<T | undefined>;
  try<T>(make: () => T): T | undefined;
  try<T>(make: () => T | Promise<T>): T | undefined | Promise<T | undefined> {
    try {
      const made = make();
      return made instanceof Promise ? made.catch((error: unknown) => this.#takeFrom(error)) : made;
    } catch (error) {
      return this.#takeFrom(error);
    }
  }

  list(): readonly Violation[] {
    return [...(this.#found.byPath?.values() ?? [])];
  }

  fault(reason: InvalidReason): Invalid {
    return new Invalid(reason, this.list());
  }

  throwIfAny(reason: InvalidReason): void {
    if (this.count > 0) throw this.fault(reason);
  }

  #addAt(field: string, description: string, reason: string): void {
    this.#found.count += 1;
    this.#found.byPath ??= new Map();
    const earlier = this.#found.byPath.get(field);
    if (!earlier) this.#found.byPath.set(field, { field, description, reason });
    else if (!earlier.description.includes(description)) earlier.description += `; ${description}`;
  }

  #takeFrom(error: unknown): undefined {
    if (!(error instanceof Invalid)) throw error;
    this.take(error.violations);
  }
}

const maxKeyLength = 100;

/**
 * The path of a list's element or an object's member: `sources[2]`, `scores.k`, `scores["a b"]`.
 */
export function pathTo(parent: string, key: string | number): string {
  if (typeof key === "number") return `${parent}[${key}]`;
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(key)) return `${parent}[${JSON.stringify(shorten(key))}]`;
  return parent === "" ? key : `${parent}.${key}`;
}

/**
 * A path inside a value, put after the path of that value: `inputs.sources[2]`, `inputs["a b"]`.
 */
export function pathUnder(parent: string, path: string): string {
  return parent === "" || path === "" || /^[[.]/.test(path) ? parent + path : `${parent}.${path}`;
}

/** Half of a character is left out at the cut. */
function shorten(key: string): string {
  return key.length > maxKeyLength ? `${key.slice(0, maxKeyLength).replace(/[\ud800-\udbff]$/, "")}…` : key;
}
