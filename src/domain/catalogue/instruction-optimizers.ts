import {
  bootstrap,
  effort,
  flag,
  float,
  int,
  maxCount,
  maxDemos,
  numberOf,
  type OptimizerEntry,
  plainOptimizer,
  temperature,
} from "./optimizer.ts";

const batchSize = int("bsize", 32, 1, 1_000, "Examples of a batch; at most as many as the trainset has.");

/** The optimizers that write instructions or rules. */
export const instructionOptimizers: readonly OptimizerEntry[] = [
  {
    ...plainOptimizer,
    name: "COPRO",
    description:
      "Has a model propose instructions, scores them on the trainset, and has it improve on the best, several times.",
    parameters: [
      int("breadth", 10, 2, 50, "Instructions per round."),
      int("depth", 3, 1, 20, "Rounds."),
      { ...temperature(1.4), description: "Temperature of the model that proposes instructions." },
    ],
    lms: ["prompt"],
  },
  {
    ...plainOptimizer,
    name: "SIMBA",
    description:
      "Runs batches of hard examples and adds demos, or rules that a model writes about good and bad runs.",
    parameters: [
      batchSize,
      int("num_candidates", 6, 1, 50, "Candidates a step, and runs of each example."),
      int("max_steps", 8, 1, maxCount, "Steps."),
      int("max_demos", 4, 0, maxDemos, "Maximum number of demos of a predictor; further ones are dropped."),
      int(
        "demo_input_field_maxlen",
        100_000,
        1,
        1_000_000,
        "Maximum number of characters of an input in a demo.",
      ),
      float("temperature_for_sampling", 0.2, 0.01, 10, "How freely a batch draws among candidates."),
      float(
        "temperature_for_candidates",
        0.2,
        0.01,
        10,
        "How freely a new candidate draws the one that it comes from.",
      ),
    ],
    lms: ["teacher", "prompt"],
    check(config, { trainset }, v) {
      const size = numberOf(config, [batchSize], "bsize");
      if (size > trainset)
        v.add("bsize", `is ${size}, but must be at most ${trainset}, the size of the trainset`, "range");
    },
  },
  {
    ...plainOptimizer,
    name: "GEPA",
    description:
      "Has a model reflect on runs and on what the metrics say of them, and evolves the instructions.",
    parameters: [
      {
        name: "auto",
        type: effort,
        description: "How much is tried; unless max_full_evals or max_metric_calls is set.",
        defaultValue: "light",
      },
      {
        name: "max_full_evals",
        type: "int",
        description: "Instead of auto: passes over the trainset.",
        min: 1,
        max: 10_000,
      },
      {
        name: "max_metric_calls",
        type: "int",
        description: "Instead of auto: runs of the program.",
        min: 1,
        max: 1_000_000,
      },
      int("reflection_minibatch_size", 3, 1, maxCount, "Runs that one reflection sees."),
      {
        name: "candidate_selection_strategy",
        type: 'Literal["pareto", "current_best"]',
        description: "Which candidate is changed next.",
        defaultValue: "pareto",
      },
      flag("skip_perfect_score", true, "Reflects on no batch that is perfect already."),
      flag("add_format_failure_as_feedback", false, "Reflects on answers that could not be read, too."),
      {
        name: "component_selector",
        type: 'Literal["round_robin", "all"]',
        description: "Whether a reflection changes one predictor or all.",
        defaultValue: "round_robin",
      },
      flag("use_merge", true, "Merges candidates that are good at different examples."),
      int("max_merge_invocations", 5, 1, maxCount, "Maximum number of merges."),
    ],
    lms: ["reflection"],
    check(config, _, v) {
      const efforts = ["auto", "max_full_evals", "max_metric_calls"];
      const [first, ...others] = efforts.filter((name) => config[name] !== undefined);
      for (const name of others) v.add(name, `can't be set together with ${first}`, "conflict");
    },
  },
  {
    ...plainOptimizer,
    name: "InferRules",
    description:
      "Bootstraps demos on one half of the trainset, has a model infer rules from it, and takes those that score best on the other.",
    parameters: [
      int("num_candidates", 10, 1, maxCount, "Sets of rules."),
      int("num_rules", 10, 1, maxCount, "Rules of a set."),
      ...bootstrap(0),
    ],
    lms: ["teacher"],
    minTrainset: 2,
  },
];
