import type { Parameter } from "../catalogue/modules.ts";
import { type OptimizerEntry, optimizers } from "../catalogue/optimizers.ts";
import type { Violation } from "../faults.ts";
import { type Json, pathTo } from "../json.ts";
import { parameterViolations } from "../program/lm.ts";

type Config = { readonly [name: string]: Json };
/** How many examples an optimizer learns from, and of how many its scores are where that is fixed. */
type Sizes = { readonly trainset: number; readonly valset?: number };

const autoValsets: Record<string, number> = { light: 100, medium: 300, heavy: 1_000 };
const leastForMinibatch = 50;
const mostOptimizers = 5;
const mostSteps = 10;
const separator = " -> ";

/** The optimizer of that name; says which there are where it is none, or why it is refused. */
export function findOptimizer(
  name: string,
  path: string,
  violations: Violation[],
): OptimizerEntry | undefined {
  const entry = optimizers.find((candidate) => candidate.name === name);
  if (entry?.refused === "") return entry;
  const there = optimizers.filter(({ refused }) => refused === "").map((one) => one.name);
  const why = entry ? `${name} ${entry.refused}` : "is no optimizer";
  violations.push({
    field: path,
    description: `${why}; there is ${there.join(", ")}`,
    reason: entry ? "unsupported" : "unknown",
  });
  return undefined;
}

/** What is wrong with an optimizer's arguments, for a trainset of that size: names, types, bounds, and what does not go together. */
export function configViolations(
  entry: OptimizerEntry,
  config: Config,
  trainsetSize: number,
  path: string,
): Violation[] {
  return violationsOf(entry, config, { trainset: trainsetSize }, path);
}

function violationsOf(entry: OptimizerEntry, config: Config, sizes: Sizes, path: string): Violation[] {
  const { optimizers: parts, ...plain } = config;
  const isMeta = entry.name === "BetterTogether";
  const known = entry.parameters.filter(({ name }) => !isMeta || name !== "optimizers");
  const violations = parameterViolations(isMeta ? plain : config, known, path);
  if (violations.length > 0 && !isMeta) return violations;
  return [...violations, ...(rules[entry.name]?.({ config, entry, sizes, parts, path }) ?? [])];
}

type Given = {
  readonly config: Config;
  readonly entry: OptimizerEntry;
  readonly sizes: Sizes;
  readonly parts: Json | undefined;
  readonly path: string;
};

/** What types and bounds can't say. */
const rules: Record<string, (given: Given) => Violation[]> = {
  MIPROv2: mipro,
  SIMBA: simba,
  GEPA: gepa,
  BetterTogether: together,
};

function mipro({ config, entry, sizes, path }: Given): Violation[] {
  const violations: Violation[] = [];
  const refuse = refuser(path, violations);
  const isSet = (name: string) => (config[name] ?? null) !== null;
  const counts = ["num_candidates", "num_trials"];
  const isAuto = config.auto === undefined ? !counts.some(isSet) : config.auto !== null;
  for (const count of counts) {
    if (isAuto && isSet(count))
      refuse(
        count,
        "is what auto decides: set auto to null, or leave it out, to say it yourself",
        "conflict",
      );
    if (!isAuto && !isSet(count))
      refuse(count, "is missing: without auto both num_candidates and num_trials are needed", "missing");
  }
  const value = (name: string) => number(config, entry, name);
  const candidates = isAuto ? Number.POSITIVE_INFINITY : Number(config.num_candidates ?? 0);
  if (value("max_bootstrapped_demos") === 0 && value("max_labeled_demos") > 0 && candidates > 3)
    refuse(
      "max_bootstrapped_demos",
      "must be 1 at least where max_labeled_demos is above 0 and more than 3 sets are made",
      "conflict",
    );

  const held = sizes.valset ?? Math.min(1_000, Math.max(1, Math.floor(sizes.trainset * 0.8)));
  const scored = isAuto ? Math.min(held, autoValsets[String(config.auto ?? "light")] ?? held) : held;
  const isMinibatch = isAuto ? scored > leastForMinibatch : (config.minibatch ?? true) === true;
  if (isMinibatch && value("minibatch_size") > scored)
    refuse(
      "minibatch_size",
      `is ${value("minibatch_size")}, and of the trainset ${scored} are scored on: make it less, or minibatch false`,
      "range",
    );
  return violations;
}

function simba({ config, entry, sizes, path }: Given): Violation[] {
  const size = number(config, entry, "bsize");
  if (size <= sizes.trainset) return [];
  const description = `is ${size}, and the trainset has ${sizes.trainset}: it can't be more than that`;
  return [{ field: `${path}.bsize`, description, reason: "range" }];
}

function gepa({ config, path }: Given): Violation[] {
  const given = ["auto", "max_full_evals", "max_metric_calls"].filter((name) => config[name] !== undefined);
  return given.slice(1).map((name) => ({
    field: `${path}.${name}`,
    description: `can't stand beside ${given[0]}`,
    reason: "conflict",
  }));
}

function together({ config, entry, sizes, parts, path }: Given): Violation[] {
  const violations: Violation[] = [];
  const refuse = refuser(path, violations);
  const named = isObject(parts) ? Object.entries(parts) : [];
  if (parts === undefined)
    refuse("optimizers", 'is missing: {"p": {"name": "MIPROv2", "config": {...}}}', "missing");
  else if (!isObject(parts)) refuse("optimizers", "must be an object of optimizers by name", "type");
  else if (named.length === 0 || named.length > mostOptimizers)
    refuse("optimizers", `must be 1 to ${mostOptimizers}`, "length");

  const ratio = number(config, entry, "valset_ratio");
  const held = Math.floor(ratio * sizes.trainset);
  if (ratio > 0 && held === 0)
    refuse(
      "valset_ratio",
      `holds out none of ${sizes.trainset} examples; make it more, or 0 to take the last program`,
      "range",
    );
  const left: Sizes = { trainset: sizes.trainset - held, ...(held > 0 && { valset: held }) };
  for (const [name, part] of named.slice(0, mostOptimizers))
    violations.push(...partViolations(name, part, left, pathTo(`${path}.optimizers`, name)));

  const { strategy } = config;
  if (strategy === undefined)
    refuse("strategy", 'is missing: the names of optimizers in their order, as in "p -> q"', "missing");
  if (typeof strategy !== "string") return violations;
  const steps = strategy.split(separator);
  if (steps.length > mostSteps) refuse("strategy", `has more than ${mostSteps} steps`, "length");
  const unknown = steps.find((step) => !named.some(([name]) => name === step));
  const there = named.map(([name]) => name).join(", ");
  if (unknown !== undefined && isObject(parts))
    refuse(
      "strategy",
      `names ${JSON.stringify(unknown.slice(0, 100))}; there is ${there}, in their order with " -> " between`,
      "unknown",
    );
  return violations;
}

/** One of the optimizers that BetterTogether runs. */
function partViolations(key: string, part: Json, sizes: Sizes, path: string): Violation[] {
  const refuse = (field: string, description: string, reason: string): Violation[] => [
    { field, description, reason },
  ];
  // DSPy takes them as keyword arguments beside its own.
  if (!/^[a-z][a-z0-9_]{0,30}$/.test(key) || key === "metric" || key === "self")
    return refuse(
      path,
      "must be named by a small letter, then small letters, digits and _, and not metric or self",
      "pattern",
    );
  if (!isObject(part)) return refuse(path, 'must be {"name": ..., "config": {...}}', "type");
  const { name, config = {}, ...others } = part;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined)
    return refuse(pathTo(path, unknown), "is not known; there is name, config", "unknown");
  const usable = optimizers.filter((one) => one.refused === "" && one.name !== "BetterTogether");
  const entry = usable.find((one) => one.name === name);
  if (!entry)
    return refuse(
      `${path}.name`,
      `is no optimizer that can be a part; there is ${usable.map((one) => one.name).join(", ")}`,
      "unknown",
    );
  if (!isObject(config)) return refuse(`${path}.config`, "must be an object", "type");
  if (sizes.trainset < entry.leastTrainset)
    return refuse(`${path}.name`, `needs ${entry.leastTrainset} examples to learn from`, "length");
  return violationsOf(entry, config, sizes, `${path}.config`);
}

const refuser =
  (path: string, violations: Violation[]) => (name: string, description: string, reason: string) =>
    violations.push({ field: `${path}.${name}`, description, reason });

/** A number as it was given, else as it is by itself. */
function number(config: Config, { parameters }: OptimizerEntry, name: string): number {
  const known = parameters.find((parameter: Parameter) => parameter.name === name)?.defaultValue;
  return Number(config[name] ?? known);
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
