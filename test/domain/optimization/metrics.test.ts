import test from "ava";
import { metrics } from "../../../src/domain/catalogue/metrics.ts";
import type { Json } from "../../../src/domain/json.ts";
import { checkMetrics } from "../../../src/domain/optimization/metrics.ts";
import type { Metric } from "../../../src/domain/optimization/optimization.ts";
import type { Field } from "../../../src/domain/signature/signature.ts";
import { parseType } from "../../../src/domain/signature/type.ts";
import { found } from "../_refused.ts";

const field = (name: string, type: string): Field => ({
  name,
  type: parseType(type),
  description: "",
  constraints: {},
});
const outputs = [
  field("answer", "str"),
  field("score", "Optional[float]"),
  field("tags", "list[str]"),
  field("kind", "Literal['a']"),
];
const metric = (name: string, field = "", params: Record<string, Json> = {}, weight = 1): Metric => ({
  name,
  field,
  params,
  weight,
});
const faults = (...asked: Metric[]) => found((v) => checkMetrics(asked, outputs, v.at("metrics")));

test("every metric scores exactly the types that it fits", (t) => {
  const fitting = Object.fromEntries(
    metrics.map(({ name, fits }) => [name, outputs.filter(({ type }) => fits(type)).map((o) => o.name)]),
  );
  t.deepEqual(fitting, {
    exact_match: ["answer", "score", "tags", "kind"],
    contains: ["answer", "kind"],
    token_f1: ["answer", "kind"],
    numeric: ["score"],
    list_f1: ["tags"],
    judge: ["answer", "score", "tags", "kind"],
  });
});

test("accepts metrics on fitting fields, with their parameters and weights", (t) => {
  const asked = [
    metric("exact_match"),
    metric("numeric", "score", { tolerance: 0.5, relative_tolerance: 0 }, 2),
    metric("judge", "answer", { rubric: "It is polite." }, 0.1),
  ];
  t.deepEqual(faults(...asked), []);
  t.deepEqual(faults(), []);
});

const wrong: [why: string, metric: Metric, faults: string[]][] = [
  ["an unknown metric", metric("bleu"), ["metrics[0].name: unknown"]],
  ["no metric", metric(""), ["metrics[0].name: missing"]],
  ["an unknown field", metric("exact_match", "question"), ["metrics[0].field: unknown"]],
  ["a field that it can't look at", metric("numeric", "answer"), ["metrics[0].field: type"]],
  ["every field where it can't look at one", metric("token_f1"), ["metrics[0].field: type"]],
  ["an unknown parameter", metric("exact_match", "", { fn: "x" }), ["metrics[0].params.fn: unknown"]],
  [
    "a parameter out of bounds",
    metric("numeric", "score", { tolerance: -1 }),
    ["metrics[0].params.tolerance: range"],
  ],
  ["a judge without a rubric", metric("judge", "answer"), ["metrics[0].params.rubric: missing"]],
  ["no weight", metric("exact_match", "", {}, 0), ["metrics[0].weight: range"]],
  [
    "a weight without end",
    metric("exact_match", "", {}, Number.POSITIVE_INFINITY),
    ["metrics[0].weight: range"],
  ],
  [
    "a weight that leaves no room for another",
    metric("exact_match", "", {}, 1e308),
    ["metrics[0].weight: range"],
  ],
  ["a weight that is no number", metric("exact_match", "", {}, Number.NaN), ["metrics[0].weight: range"]],
];
for (const [why, asked, expected] of wrong)
  test(`metrics refuse ${why}`, (t) => t.deepEqual(faults(asked), expected));

test("refuses more than 20 metrics with one violation", (t) => {
  t.deepEqual(faults(...Array.from({ length: 21 }, () => metric("exact_match"))), ["metrics: length"]);
});
