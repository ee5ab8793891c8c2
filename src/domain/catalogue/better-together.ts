import type { Values } from "../execution.ts";
import { isObject, type Json } from "../json.ts";
import type { Violations } from "../violations.ts";
import {
  checkConfig,
  flag,
  float,
  numberOf,
  type OptimizerEntry,
  plainOptimizer,
  type Sizes,
} from "./optimizer.ts";
import type { Parameter } from "./parameter.ts";

const maxOptimizers = 5;
const maxSteps = 10;
const separator = " -> ";
const example = '{"p": {"name": "MIPROv2", "config": {...}}}';

const parameters: readonly Parameter[] = [
  {
    name: "optimizers",
    type: "dict[str, Optimizer]",
    description: `Optimizers under names of yours: ${example}.`,
    isRequired: true,
    check(value, v) {
      if (!isObject(value)) v.addHere("must be an object of optimizers by name", "type");
    },
  },
  {
    name: "strategy",
    type: "str",
    description: 'Those names in their order: "p -> q -> p".',
    isRequired: true,
  },
  float(
    "valset_ratio",
    0.1,
    0,
    0.9,
    "The share of the trainset that each step's program is scored on; 0 takes the last program.",
  ),
  flag("shuffle_trainset_between_steps", true, "Shuffles the trainset before each step."),
];

/** The optimizer that runs several of these `parts`, one after another. */
export const betterTogether = (parts: readonly OptimizerEntry[]): OptimizerEntry => ({
  ...plainOptimizer,
  name: "BetterTogether",
  description: "Runs several of these optimizers one after another and takes the best program of all steps.",
  parameters,
  lms: ["teacher", "prompt", "task", "reflection"],
  check({ optimizers, strategy, ...config }, { trainset }, v) {
    const named = isObject(optimizers) ? Object.entries(optimizers) : [];
    if (named.length === 0 || named.length > maxOptimizers)
      v.add("optimizers", `must have 1 to ${maxOptimizers} optimizers`, "length");
    const share = numberOf(config, parameters, "valset_ratio");
    const valset = Math.floor(share * trainset);
    if (share > 0 && valset === 0)
      v.add(
        "valset_ratio",
        `holds out none of ${trainset} examples; raise it, or set 0 to take the last program`,
        "range",
      );
    const sizes: Sizes = { trainset: trainset - valset, ...(valset > 0 && { valset }) };
    for (const [name, part] of named.slice(0, maxOptimizers))
      checkPart(name, part, parts, sizes, v.at("optimizers", name));
    checkStrategy(
      String(strategy),
      named.map(([name]) => name),
      v.at("strategy"),
    );
  },
});

function checkStrategy(strategy: string, names: readonly string[], v: Violations): void {
  const steps = strategy.split(separator);
  if (steps.length > maxSteps) v.addHere(`must have at most ${maxSteps} steps`, "length");
  const unknown = steps.find((step) => !names.includes(step));
  if (unknown !== undefined)
    v.addHere(
      `unknown optimizer ${JSON.stringify(unknown.slice(0, 100))}; expected ${names.join(", ")} with "${separator}" between`,
      "unknown",
    );
}

function checkPart(
  name: string,
  part: Json,
  parts: readonly OptimizerEntry[],
  sizes: Sizes,
  v: Violations,
): void {
  // DSPy takes the optimizers as keyword arguments, beside its own "metric" and "self".
  if (!/^[a-z][a-z0-9_]{0,30}$/.test(name) || name === "metric" || name === "self")
    v.addHere(
      "the name must be a lower-case letter, then lower-case letters, digits and _, but not metric or self",
      "pattern",
    );
  else if (!isObject(part)) v.addHere('must be {"name": ..., "config": {...}}', "type");
  else checkNamedPart(part, parts, sizes, v);
}

function checkNamedPart(part: Values, parts: readonly OptimizerEntry[], sizes: Sizes, v: Violations): void {
  const { name, config = {}, ...others } = part;
  const [unknown] = Object.keys(others);
  const entry = parts.find((candidate) => candidate.name === name);
  const expected = parts.map((candidate) => candidate.name).join(", ");
  if (unknown !== undefined) v.add(unknown, "unknown member; expected name and config", "unknown");
  else if (!entry)
    v.add("name", `unknown optimizer ${JSON.stringify(name ?? "")}; expected one of ${expected}`, "unknown");
  else if (!isObject(config)) v.add("config", "must be an object", "type");
  else if (sizes.trainset < entry.minTrainset)
    v.add(
      "name",
      `needs at least ${entry.minTrainset} examples to learn from, but has ${sizes.trainset}`,
      "length",
    );
  else checkConfig(entry, config, sizes, v.at("config"));
}
