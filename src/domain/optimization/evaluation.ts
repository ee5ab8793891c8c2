import { addTokens, noTokens, type TokenUsage, type Values } from "../execution.ts";
import type { Metric } from "./optimization.ts";

/** The result of one example. */
export type ExampleScore = {
  readonly index: number;
  /** From 0 to 1; 0 if the run failed. */
  readonly score: number;
  /** One score for each metric. */
  readonly metricScores: readonly number[];
  readonly tokenUsage: TokenUsage;
} & ({ readonly outputs: Values } | { readonly error: unknown });

export type Summary = {
  readonly score: number;
  /**
   * Keyed by the metric's name; by "name:field" if two metrics share a name; by "name[1]", its
   * index, if they share both.
   */
  readonly metricScores: Readonly<Record<string, number>>;
  readonly examples: number;
  readonly failures: number;
  readonly tokenUsage: TokenUsage;
};

/** The score of one example: the weighted mean of its metrics. */
export function meanByWeight(metrics: readonly Metric[], scores: readonly number[]): number {
  const whole = metrics.reduce((sum, { weight }) => sum + weight, 0);
  return metrics.reduce((sum, { weight }, index) => sum + weight * (scores[index] ?? 0), 0) / whole;
}

/** Means over the examples. A failed example counts as 0; without examples every mean is 0. */
export function summarize(metrics: readonly Metric[], results: readonly ExampleScore[]): Summary {
  const mean = (of: (result: ExampleScore) => number) =>
    results.length === 0 ? 0 : results.reduce((sum, result) => sum + of(result), 0) / results.length;
  const names = namesOf(metrics);
  return {
    score: mean(({ score }) => score),
    metricScores: Object.fromEntries(
      names.map((name, index) => [name, mean(({ metricScores }) => metricScores[index] ?? 0)]),
    ),
    examples: results.length,
    failures: results.filter((result) => "error" in result).length,
    tokenUsage: results.reduce((sum, { tokenUsage }) => addTokens(sum, tokenUsage), noTokens),
  };
}

/** A unique name for each metric. */
function namesOf(metrics: readonly Metric[]): string[] {
  const isShared = (all: readonly string[], name: string) => all.indexOf(name) !== all.lastIndexOf(name);
  const names = metrics.map(({ name }) => name);
  const withFields = metrics.map(({ name, field }) =>
    isShared(names, name) && field !== "" ? `${name}:${field}` : name,
  );
  return withFields.map((name, index) => (isShared(withFields, name) ? `${name}[${index}]` : name));
}
