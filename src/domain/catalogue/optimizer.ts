import type { Values } from "../execution.ts";
import type { Violations } from "../violations.ts";
import { checkParameters, type Parameter } from "./parameter.ts";

/**
 * A model that an optimization may use beside the program's own; "judge" belongs to the metrics.
 */
export type LmRole = "teacher" | "prompt" | "task" | "reflection" | "judge";

/**
 * How many examples an optimizer learns from, and how many it scores on if that number is fixed.
 */
export type Sizes = { readonly trainset: number; readonly valset?: number };

export type OptimizerEntry = {
  readonly name: string;
  readonly description: string;
  /**
   * Those of DSPy's arguments that a caller may set: never a path, a model, a callable or a number
   * of threads.
   */
  readonly parameters: readonly Parameter[];
  /** Why this server refuses it; "" if it does not. */
  readonly refused: string;
  /** The models of its own that a caller may choose. */
  readonly lms: readonly LmRole[];
  /** Minimum number of examples that it needs to learn from. */
  readonly minTrainset: number;
  /** Checks what types and bounds can't say. Called only if the parameters themselves are right. */
  readonly check?: (config: Values, sizes: Sizes, v: Violations) => void;
};

/** An entry with nothing but a name and a description. */
export const plainOptimizer = { parameters: [], refused: "", lms: [], minTrainset: 1 };

/** Checks a config: names, types, bounds, and what the optimizer itself asks for. */
export function checkConfig(entry: OptimizerEntry, config: Values, sizes: Sizes, v: Violations): void {
  const before = v.count;
  checkParameters(config, entry.parameters, v);
  if (v.count === before) entry.check?.(config, sizes, v);
}

/** The number that a config sets, else the parameter's default. */
export function numberOf(config: Values, parameters: readonly Parameter[], name: string): number {
  const parameter = parameters.find((candidate) => candidate.name === name);
  return Number(config[name] ?? parameter?.defaultValue);
}

export const maxDemos = 100;
/** Maximum of parameters that count candidates, steps or rounds. */
export const maxCount = 100;

export const int = (
  name: string,
  defaultValue: number,
  min: number,
  max: number,
  description: string,
): Parameter => ({ name, type: "int", description, defaultValue, min, max });

export const float = (...parameter: Parameters<typeof int>): Parameter => ({
  ...int(...parameter),
  type: "float",
});

export const flag = (name: string, defaultValue: boolean, description: string): Parameter => ({
  name,
  type: "bool",
  description,
  defaultValue,
});

export const maxLabeledDemos = (defaultValue: number): Parameter =>
  int(
    "max_labeled_demos",
    defaultValue,
    0,
    maxDemos,
    "Maximum number of demos in all, filled up with examples of the trainset.",
  );

export const maxBootstrappedDemos = (min: number): Parameter =>
  int(
    "max_bootstrapped_demos",
    4,
    min,
    maxDemos,
    "Maximum number of demos that the program made itself and the metrics accepted.",
  );

export const metricThreshold: Parameter = {
  name: "metric_threshold",
  type: "Optional[float]",
  description: "The score that makes an answer a demo; any score above 0 if left out.",
  min: 0,
  max: 1,
};

/** The parameters of optimizers that bootstrap demos. */
export const bootstrap = (minBootstrapped: number): readonly Parameter[] => [
  maxBootstrappedDemos(minBootstrapped),
  maxLabeledDemos(16),
  int("max_rounds", 1, 1, 10, "Attempts at each example; temperature 1 from the second attempt on."),
  metricThreshold,
];

export const temperature = (defaultValue: number): Parameter =>
  float("init_temperature", defaultValue, 0, 2, "Temperature of the model that proposes instructions.");

/** How much MIPROv2 and GEPA try. */
export const effort = 'Literal["light", "medium", "heavy"]';
