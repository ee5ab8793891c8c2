import type { Values } from "../execution.ts";
import type { Violations } from "../violations.ts";
import {
  effort,
  flag,
  int,
  maxBootstrappedDemos,
  maxCount,
  maxLabeledDemos,
  metricThreshold,
  numberOf,
  type OptimizerEntry,
  plainOptimizer,
  type Sizes,
  temperature,
} from "./optimizer.ts";
import type { Parameter } from "./parameter.ts";

/**
 * Maximum number of examples that each setting of auto scores on; DSPy uses minibatches from 51 on.
 */
const autoValsets: Record<string, number> = { light: 100, medium: 300, heavy: 1_000 };
const maxWithoutMinibatch = 50;

const parameters: readonly Parameter[] = [
  maxBootstrappedDemos(0),
  maxLabeledDemos(4),
  metricThreshold,
  {
    name: "auto",
    type: `Optional[${effort}]`,
    description: "How much is tried; null or left out if num_candidates and num_trials are set.",
    defaultValue: "light",
  },
  {
    name: "num_candidates",
    type: "Optional[int]",
    description: "Instructions and sets of demos; without auto.",
    min: 1,
    max: maxCount,
  },
  {
    name: "num_trials",
    type: "Optional[int]",
    description: "Combinations that are scored; without auto.",
    min: 1,
    max: 1_000,
  },
  temperature(1),
  flag("minibatch", true, "Scores most combinations on a part of the examples; auto decides this itself."),
  int("minibatch_size", 35, 1, 1_000, "Examples of a minibatch."),
  int("minibatch_full_eval_steps", 5, 1, maxCount, "Minibatches between two scores on all examples."),
  flag("program_aware_proposer", true, "Shows the program to the model that proposes."),
  flag("data_aware_proposer", true, "Shows the proposing model a summary of the trainset."),
  int("view_data_batch_size", 10, 1, maxCount, "Examples at a time for the summary of the trainset."),
  flag("tip_aware_proposer", true, "Gives the proposing model a random tip each time."),
  flag("fewshot_aware_proposer", true, "Shows the proposing model bootstrapped demos."),
];

export const mipro: OptimizerEntry = {
  ...plainOptimizer,
  name: "MIPROv2",
  description:
    "Bootstraps demos, has a model propose instructions, and searches for the best of both by Bayesian optimization.",
  parameters,
  lms: ["teacher", "prompt", "task"],
  minTrainset: 2,
  check(config, sizes, v) {
    const isAuto = checkCounts(config, v);
    checkDemos(config, isAuto, v);
    checkMinibatch(config, isAuto, sizes, v);
  },
};

/** Either auto decides how much is tried, or both counts do. Returns whether auto does. */
function checkCounts(config: Values, v: Violations): boolean {
  const isSet = (name: string) => (config[name] ?? null) !== null;
  const counts = ["num_candidates", "num_trials"];
  const isAuto = config.auto === undefined ? !counts.some(isSet) : config.auto !== null;
  for (const count of counts) {
    if (isAuto && isSet(count))
      v.add(count, "must be left out if auto is set; set auto to null to choose it yourself", "conflict");
    if (!isAuto && !isSet(count))
      v.add(count, "is missing; without auto, both num_candidates and num_trials are needed", "missing");
  }
  return isAuto;
}

function checkDemos(config: Values, isAuto: boolean, v: Violations): void {
  const value = (name: string) => numberOf(config, parameters, name);
  const candidates = isAuto ? Number.POSITIVE_INFINITY : Number(config.num_candidates ?? 0);
  if (value("max_bootstrapped_demos") === 0 && value("max_labeled_demos") > 0 && candidates > 3)
    v.add(
      "max_bootstrapped_demos",
      "must be at least 1 if max_labeled_demos is above 0 and more than 3 candidates are made",
      "conflict",
    );
}

function checkMinibatch(config: Values, isAuto: boolean, sizes: Sizes, v: Violations): void {
  const held = sizes.valset ?? Math.min(1_000, Math.max(1, Math.floor(sizes.trainset * 0.8)));
  const scored = isAuto ? Math.min(held, autoValsets[String(config.auto ?? "light")] ?? held) : held;
  const isMinibatch = isAuto ? scored > maxWithoutMinibatch : (config.minibatch ?? true) === true;
  const size = numberOf(config, parameters, "minibatch_size");
  if (isMinibatch && size > scored)
    v.add(
      "minibatch_size",
      `is ${size}, but only ${scored} examples of the trainset are scored on; lower it, or set minibatch to false`,
      "range",
    );
}
