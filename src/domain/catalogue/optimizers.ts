import type { Parameter } from "./parameter.ts";

/** What an optimization may use a model for beside the program itself; `judge` belongs to the metrics. */
export type LmRole = "teacher" | "prompt" | "task" | "reflection" | "judge";

export type OptimizerEntry = {
  readonly name: string;
  readonly description: string;
  /** Of DSPy's own arguments those that a caller may set: never a path, a model, a callable or a number of threads. */
  readonly parameters: readonly Parameter[];
  /** Why it is refused here; "" where it is not. */
  readonly refused: string;
  /** The models of its own that a caller may choose. */
  readonly lms: readonly LmRole[];
  /** Examples to learn from that it can't do without. */
  readonly leastTrainset: number;
};

const mostDemos = 100;
const most = 100;
const plain = { parameters: [], refused: "", lms: [], leastTrainset: 1 };

const int = (
  name: string,
  defaultValue: number,
  min: number,
  max: number,
  description: string,
): Parameter => ({
  name,
  type: "int",
  description,
  defaultValue,
  min,
  max,
});
const float = (...parameter: Parameters<typeof int>): Parameter => ({ ...int(...parameter), type: "float" });
const flag = (name: string, defaultValue: boolean, description: string): Parameter => ({
  name,
  type: "bool",
  description,
  defaultValue,
});

const labeled = (defaultValue: number) =>
  int(
    "max_labeled_demos",
    defaultValue,
    0,
    mostDemos,
    "Demos at most in all, filled up with examples of the trainset.",
  );
const bootstrapped = (min: number) =>
  int(
    "max_bootstrapped_demos",
    4,
    min,
    mostDemos,
    "Demos at most that the program made itself and the metrics accepted.",
  );
const rounds = int("max_rounds", 1, 1, 10, "Attempts at each example; from the second on at temperature 1.");
const metricThreshold: Parameter = {
  name: "metric_threshold",
  type: "Optional[float]",
  description: "The score that makes an answer a demo; any above 0 where left out.",
  min: 0,
  max: 1,
};
const bootstrap = (minBootstrapped: number) => [
  bootstrapped(minBootstrapped),
  labeled(16),
  rounds,
  metricThreshold,
];
const temperature = (defaultValue: number) =>
  float("init_temperature", defaultValue, 0, 2, "Of the model that proposes instructions.");
const effort = 'Literal["light", "medium", "heavy"]';

/** The optimizers of DSPy, each with DSPy's own names and defaults of its arguments. */
export const optimizers: readonly OptimizerEntry[] = [
  {
    ...plain,
    name: "LabeledFewShot",
    description: "Puts examples of the trainset into the prompt as they are. Asks no model and no metric.",
    parameters: [
      int("k", 16, 1, mostDemos, "Demos at most."),
      flag("sample", true, "Draws them; else takes the first ones."),
    ],
  },
  {
    ...plain,
    name: "BootstrapFewShot",
    description: "Runs the program over the trainset and makes demos of the answers that the metrics accept.",
    parameters: bootstrap(0),
    lms: ["teacher"],
  },
  {
    ...plain,
    name: "BootstrapFewShotWithRandomSearch",
    description:
      "Makes many sets of demos as BootstrapFewShot does, scores each on the trainset and takes the best.",
    parameters: [
      ...bootstrap(1),
      int("num_candidate_programs", 16, 1, most, "Sets of demos, beside three plain ones."),
      {
        name: "stop_at_score",
        type: "Optional[float]",
        description: "Ends the search at this score, in percent as DSPy has it.",
        min: 0,
        max: 100,
      },
    ],
    lms: ["teacher"],
  },
  {
    ...plain,
    name: "MIPROv2",
    description:
      "Bootstraps demos, has a model propose instructions, and searches for the best of both by Bayesian optimization.",
    parameters: [
      bootstrapped(0),
      labeled(4),
      metricThreshold,
      {
        name: "auto",
        type: `Optional[${effort}]`,
        description: "How much is tried; null, or left out, where num_candidates and num_trials say it.",
        defaultValue: "light",
      },
      {
        name: "num_candidates",
        type: "Optional[int]",
        description: "Instructions and sets of demos; without auto.",
        min: 1,
        max: most,
      },
      {
        name: "num_trials",
        type: "Optional[int]",
        description: "Combinations that are scored; without auto.",
        min: 1,
        max: 1_000,
      },
      temperature(1),
      flag(
        "minibatch",
        true,
        "Scores most combinations on a part of the examples; auto decides it by itself.",
      ),
      int("minibatch_size", 35, 1, 1_000, "Examples of such a part."),
      int(
        "minibatch_full_eval_steps",
        5,
        1,
        most,
        "Combinations between two that are scored on all examples.",
      ),
      flag("program_aware_proposer", true, "Shows the program to the model that proposes."),
      flag("data_aware_proposer", true, "Shows it a summary of the trainset."),
      int("view_data_batch_size", 10, 1, most, "Examples at a time for that summary."),
      flag("tip_aware_proposer", true, "Gives it a tip, drawn each time."),
      flag("fewshot_aware_proposer", true, "Shows it bootstrapped demos."),
    ],
    lms: ["teacher", "prompt", "task"],
    leastTrainset: 2,
  },
  {
    ...plain,
    name: "COPRO",
    description:
      "Has a model propose instructions, scores them on the trainset, and has it improve on the best, several times.",
    parameters: [
      int("breadth", 10, 2, 50, "Instructions a round."),
      int("depth", 3, 1, 20, "Rounds."),
      { ...temperature(1.4), description: "Of the model that proposes." },
    ],
    lms: ["prompt"],
  },
  {
    ...plain,
    name: "SIMBA",
    description:
      "Runs batches of hard examples and adds demos, or rules that a model writes about good and bad runs.",
    parameters: [
      int("bsize", 32, 1, 1_000, "Examples a batch; no more than the trainset has."),
      int("num_candidates", 6, 1, 50, "Candidates a step, and runs of each example."),
      int("max_steps", 8, 1, most, "Steps."),
      int("max_demos", 4, 0, mostDemos, "Demos of a predictor before some are dropped."),
      int(
        "demo_input_field_maxlen",
        100_000,
        1,
        1_000_000,
        "Characters that are kept of an input in a demo.",
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
  },
  {
    ...plain,
    name: "GEPA",
    description:
      "Has a model reflect on runs and on what the metrics say of them, and evolves the instructions.",
    parameters: [
      {
        name: "auto",
        type: effort,
        description: "How much is tried, where neither max_full_evals nor max_metric_calls says it.",
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
      int("reflection_minibatch_size", 3, 1, most, "Runs that one reflection sees."),
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
      int("max_merge_invocations", 5, 1, most, "Merges at most."),
    ],
    lms: ["reflection"],
  },
  {
    ...plain,
    name: "InferRules",
    description:
      "Bootstraps demos on one half of the trainset, has a model infer rules from it, and takes those that score best on the other.",
    parameters: [
      int("num_candidates", 10, 1, most, "Sets of rules."),
      int("num_rules", 10, 1, most, "Rules of a set."),
      ...bootstrap(0),
    ],
    lms: ["teacher"],
    leastTrainset: 2,
  },
  {
    ...plain,
    name: "BetterTogether",
    description: "Runs several of these optimizers one after another and takes the best program on the way.",
    parameters: [
      {
        name: "optimizers",
        type: "dict[str, Optimizer]",
        description: 'By names of yours: {"p": {"name": "MIPROv2", "config": {...}}}.',
      },
      { name: "strategy", type: "str", description: 'Those names in their order: "p -> q -> p".' },
      float(
        "valset_ratio",
        0.1,
        0,
        0.9,
        "The share of the trainset that the programs on the way are scored on; 0 takes the last one.",
      ),
      flag("shuffle_trainset_between_steps", true, "Shuffles the trainset before each."),
    ],
    lms: ["teacher", "prompt", "task", "reflection"],
  },
  {
    ...plain,
    name: "KNNFewShot",
    description: "Chooses demos for each input.",
    refused:
      "chooses demos while a program runs, by an embedder and a trainset that DSPy's JSON state can't hold",
  },
  {
    ...plain,
    name: "BootstrapFewShotWithOptuna",
    description: "Searches demos by Optuna.",
    refused: "can't be seeded, so that nobody could repeat it; MIPROv2 searches demos by Optuna, too",
  },
  {
    ...plain,
    name: "BootstrapFinetune",
    description: "Trains the model.",
    refused: "changes the model's weights, which a program's state does not hold",
  },
  {
    ...plain,
    name: "GRPO",
    description: "Trains the model by reinforcement.",
    refused: "changes the model's weights, which a program's state does not hold",
  },
  {
    ...plain,
    name: "Ensemble",
    description: "Makes one program of many.",
    refused: "makes another program, whose modules are not this one's",
  },
  {
    ...plain,
    name: "AvatarOptimizer",
    description: "Instructs an agent.",
    refused: "is for DSPy's Avatar module, which this server does not have",
  },
  {
    ...plain,
    name: "ReAnchor",
    description: "Calibrates decisions.",
    refused: "calibrates decision outputs, which a signature can't have here",
  },
];
