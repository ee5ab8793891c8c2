import test from "ava";
import { noTokens } from "../../../src/domain/execution.ts";
import { summarize } from "../../../src/domain/optimization/evaluation.ts";
import type { Metric } from "../../../src/domain/optimization/optimization.ts";

const metric = (name: string, field = ""): Metric => ({ name, field, params: {}, weight: 1 });

/** The names under which the metrics' scores stand; the first metric scored 0, the second 1, ... */
function named(...metrics: Metric[]): Readonly<Record<string, number>> {
  const result = {
    index: 0,
    score: 0,
    metricScores: metrics.map((_, index) => index),
    tokenUsage: noTokens,
    outputs: {},
  };
  return summarize(metrics, [result]).metricScores;
}

test("a metric's mean is named after the metric, with its field if two metrics share a name", (t) => {
  t.deepEqual(named(metric("exact_match", "mood"), metric("judge")), { exact_match: 0, judge: 1 });
  t.deepEqual(named(metric("token_f1", "title"), metric("token_f1", "text")), {
    "token_f1:title": 0,
    "token_f1:text": 1,
  });
});

test("metrics that differ only in their parameters are named by their index", (t) => {
  t.deepEqual(named(metric("judge"), metric("judge"), metric("exact_match")), {
    "judge[0]": 0,
    "judge[1]": 1,
    exact_match: 2,
  });
  t.deepEqual(named(metric("numeric", "n"), metric("numeric", "n"), metric("numeric")), {
    "numeric:n[0]": 0,
    "numeric:n[1]": 1,
    numeric: 2,
  });
});
