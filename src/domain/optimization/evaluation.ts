import { addTokens, noTokens, type TokenUsage, type Values } from "../execution.ts";
import type { Metric } from "./optimization.ts";

/** What one example came to. */
export type ExampleScore = {
  readonly index: number;
  /** From 0 to 1; 0 where it failed. */
  readonly score: number;
  /** One for each metric. */
  readonly metricScores: readonly number[];
  readonly tokenUsage: TokenUsage;
} & ({ readonly outputs: Values } | { readonly error: unknown });

export type Summary = {
  readonly score: number;
  /** By the metric's name; where two have the same by "name:field", and by "name[1]", its place in the request, where that is the same, too. */
  readonly metricScores: Readonly<Record<string, number>>;
  readonly examples: number;
  readonly failures: number;
  readonly tokenUsage: TokenUsage;
};

/** The score of one example: the metrics' mean by weight. */
export function meanByWeight(metrics: readonly Metric[], scores: readonly number[]): number {
  const whole = metrics.reduce((sum, { weight }) => sum + weight, 0);
  return metrics.reduce((sum, { weight }, index) => sum + weight * (scores[index] ?? 0), 0) / whole;
}

/** Means over the examples, those that failed counted as 0; all 0 where there are none. */
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

/** A name for each that no other has. */
function namesOf(metrics: readonly Metric[]): string[] {
  const isShared = (all: readonly string[], name: string) => all.indexOf(name) !== all.lastIndexOf(name);
  const names = metrics.map(({ name }) => name);
  const withFields = metrics.map(({ name, field }) =>
    isShared(names, name) && field !== "" ? `${name}:${field}` : name,
  );
  return withFields.map((name, index) => (isShared(withFields, name) ? `${name}[${index}]` : name));
}
