import { type OptimizerEntry, optimizers } from "../catalogue/optimizers.ts";
import { checkParameters } from "../catalogue/parameter.ts";
import type { Json } from "../json.ts";
import type { Violations } from "../violations.ts";

type Config = { readonly [name: string]: Json };
/** How many examples an optimizer learns from, and of how many its scores are where that is fixed. */
type Sizes = { readonly trainset: number; readonly valset?: number };

const autoValsets: Record<string, number> = { light: 100, medium: 300, heavy: 1_000 };
const leastForMinibatch = 50;
const mostOptimizers = 5;
const mostSteps = 10;
const separator = " -> ";

/** The optimizer of that name; says which there are where it is none, or why it is refused. */
export function findOptimizer(name: string, v: Violations): OptimizerEntry | undefined {
  const entry = optimizers.find((candidate) => candidate.name === name);
  if (entry?.refused === "") return entry;
  const there = optimizers.filter(({ refused }) => refused === "").map((one) => one.name);
  const why = entry ? `${name} ${entry.refused}` : "is no optimizer";
  v.addHere(`${why}; there is ${there.join(", ")}`, entry ? "unsupported" : "unknown");
  return undefined;
}

/** Checks an optimizer's arguments, for a trainset of that size: names, types, bounds, and what does not go together. */
export function checkConfig(
  entry: OptimizerEntry,
  config: Config,
  trainsetSize: number,
  v: Violations,
): void {
  checkSized(entry, config, { trainset: trainsetSize }, v);
}

function checkSized(entry: OptimizerEntry, config: Config, sizes: Sizes, v: Violations): void {
  const { optimizers: parts, ...plain } = config;
  const isMeta = entry.name === "BetterTogether";
  const known = entry.parameters.filter(({ name }) => !isMeta || name !== "optimizers");
  const before = v.count;
  checkParameters(isMeta ? plain : config, known, v);
  if (v.count > before && !isMeta) return;
  rules[entry.name]?.({ config, entry, sizes, parts, v });
}

type Given = {
  readonly config: Config;
  readonly entry: OptimizerEntry;
  readonly sizes: Sizes;
  readonly parts: Json | undefined;
  readonly v: Violations;
};

/** What types and bounds can't say. */
const rules: Record<string, (given: Given) => void> = {
  MIPROv2: mipro,
  SIMBA: simba,
  GEPA: gepa,
  BetterTogether: together,
};

function mipro({ config, entry, sizes, v }: Given): void {
  const isSet = (name: string) => (config[name] ?? null) !== null;
  const counts = ["num_candidates", "num_trials"];
  const isAuto = config.auto === undefined ? !counts.some(isSet) : config.auto !== null;
  for (const count of counts) {
    if (isAuto && isSet(count))
      v.add(count, "is what auto decides: set auto to null, or leave it out, to say it yourself", "conflict");
    if (!isAuto && !isSet(count))
      v.add(count, "is missing: without auto both num_candidates and num_trials are needed", "missing");
  }
  const value = (name: string) => number(config, entry, name);
  const candidates = isAuto ? Number.POSITIVE_INFINITY : Number(config.num_candidates ?? 0);
  if (value("max_bootstrapped_demos") === 0 && value("max_labeled_demos") > 0 && candidates > 3)
    v.add(
      "max_bootstrapped_demos",
      "must be 1 at least where max_labeled_demos is above 0 and more than 3 sets are made",
      "conflict",
    );

  const held = sizes.valset ?? Math.min(1_000, Math.max(1, Math.floor(sizes.trainset * 0.8)));
  const scored = isAuto ? Math.min(held, autoValsets[String(config.auto ?? "light")] ?? held) : held;
  const isMinibatch = isAuto ? scored > leastForMinibatch : (config.minibatch ?? true) === true;
  if (isMinibatch && value("minibatch_size") > scored)
    v.add(
      "minibatch_size",
      `is ${value("minibatch_size")}, and of the trainset ${scored} are scored on: make it less, or minibatch false`,
      "range",
    );
}

function simba({ config, entry, sizes, v }: Given): void {
  const size = number(config, entry, "bsize");
  if (size > sizes.trainset)
    v.add("bsize", `is ${size}, and the trainset has ${sizes.trainset}: it can't be more than that`, "range");
}

function gepa({ config, v }: Given): void {
  const [first, ...others] = ["auto", "max_full_evals", "max_metric_calls"].filter(
    (name) => config[name] !== undefined,
  );
  for (const name of others) v.add(name, `can't stand beside ${first}`, "conflict");
}

function together({ config, entry, sizes, parts, v }: Given): void {
  const named = isObject(parts) ? Object.entries(parts) : [];
  if (parts === undefined)
    v.add("optimizers", 'is missing: {"p": {"name": "MIPROv2", "config": {...}}}', "missing");
  else if (!isObject(parts)) v.add("optimizers", "must be an object of optimizers by name", "type");
  else if (named.length === 0 || named.length > mostOptimizers)
    v.add("optimizers", `must be 1 to ${mostOptimizers}`, "length");

  const ratio = number(config, entry, "valset_ratio");
  const held = Math.floor(ratio * sizes.trainset);
  if (ratio > 0 && held === 0)
    v.add(
      "valset_ratio",
      `holds out none of ${sizes.trainset} examples; make it more, or 0 to take the last program`,
      "range",
    );
  const left: Sizes = { trainset: sizes.trainset - held, ...(held > 0 && { valset: held }) };
  for (const [name, part] of named.slice(0, mostOptimizers))
    checkPart(name, part, left, v.at("optimizers", name));

  const { strategy } = config;
  if (strategy === undefined)
    v.add("strategy", 'is missing: the names of optimizers in their order, as in "p -> q"', "missing");
  if (typeof strategy !== "string") return;
  const steps = strategy.split(separator);
  if (steps.length > mostSteps) v.add("strategy", `has more than ${mostSteps} steps`, "length");
  const unknown = steps.find((step) => !named.some(([name]) => name === step));
  const there = named.map(([name]) => name).join(", ");
  if (unknown !== undefined && isObject(parts))
    v.add(
      "strategy",
      `names ${JSON.stringify(unknown.slice(0, 100))}; there is ${there}, in their order with " -> " between`,
      "unknown",
    );
}

/** One of the optimizers that BetterTogether runs. */
function checkPart(key: string, part: Json, sizes: Sizes, v: Violations): void {
  // DSPy takes them as keyword arguments beside its own.
  if (!/^[a-z][a-z0-9_]{0,30}$/.test(key) || key === "metric" || key === "self")
    v.addHere(
      "must be named by a small letter, then small letters, digits and _, and not metric or self",
      "pattern",
    );
  else if (!isObject(part)) v.addHere('must be {"name": ..., "config": {...}}', "type");
  else checkNamedPart(part, sizes, v);
}

function checkNamedPart(part: { [key: string]: Json }, sizes: Sizes, v: Violations): void {
  const { name, config = {}, ...others } = part;
  const [unknown] = Object.keys(others);
  const usable = optimizers.filter((one) => one.refused === "" && one.name !== "BetterTogether");
  const entry = usable.find((one) => one.name === name);
  const there = usable.map((one) => one.name).join(", ");
  if (unknown !== undefined) v.add(unknown, "is not known; there is name, config", "unknown");
  else if (!entry) v.add("name", `is no optimizer that can be a part; there is ${there}`, "unknown");
  else if (!isObject(config)) v.add("config", "must be an object", "type");
  else if (sizes.trainset < entry.leastTrainset)
    v.add("name", `needs ${entry.leastTrainset} examples to learn from`, "length");
  else checkSized(entry, config, sizes, v.at("config"));
}

/** A number as it was given, else as it is by itself. */
function number(config: Config, { parameters }: OptimizerEntry, name: string): number {
  const known = parameters.find((parameter) => parameter.name === name)?.defaultValue;
  return Number(config[name] ?? known);
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
