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
export const createViolations = (path = ""): Violations => collectorAt(path, { byPath: new Map(), count: 0 });

function collectorAt(path: string, found: { byPath: Map<string, Violation>; count: number }): Violations {
  function addAt(field: string, description: string, reason: string): void {
    found.count += 1;
    const earlier = found.byPath.get(field);
    if (!earlier) found.byPath.set(field, { field, description, reason });
    else if (!earlier.description.includes(description)) earlier.description += `; ${description}`;
  }
  function takeFrom(error: unknown): undefined {
    if (!(error instanceof Invalid)) throw error;
    collector.take(error.violations);
  }
  const collector: Violations = {
    get count() {
      return found.count;
    },
    get isFull() {
      return found.count >= maxViolations;
    },
    at: (...keys) => collectorAt(keys.reduce<string>(pathTo, path), found),
    add(key, description, reason) {
      if (!collector.isFull) addAt(pathTo(path, key), description, reason);
    },
    addHere(description, reason) {
      if (!collector.isFull) addAt(path, description, reason);
    },
    take(violations) {
      for (const { field, description, reason } of violations) {
        if (collector.isFull) return;
        addAt(pathUnder(path, field), description, reason);
      }
    },
    try<T>(make: () => T | Promise<T>) {
      try {
        const made = make();
        return made instanceof Promise ? made.catch(takeFrom) : made;
      } catch (error) {
        return takeFrom(error);
      }
    },
    list: () => [...found.byPath.values()],
    fault: (reason) => new Invalid(reason, collector.list()),
    throwIfAny(reason) {
      if (found.count > 0) throw collector.fault(reason);
    },
  };
  return collector;
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
  return parent === "" || path === "" || path.startsWith("[") ? parent + path : `${parent}.${path}`;
}

function shorten(key: string): string {
  return key.length > maxKeyLength ? `${key.slice(0, maxKeyLength)}…` : key;
}
