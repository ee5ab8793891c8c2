import test from "ava";
import { checkConfig, type OptimizerEntry } from "../../../src/domain/catalogue/optimizer.ts";
import { optimizers } from "../../../src/domain/catalogue/optimizers.ts";
import type { Json } from "../../../src/domain/json.ts";
import { parseType } from "../../../src/domain/signature/type.ts";
import { found } from "../_refused.ts";

const find = (name: string) => optimizers.find((entry) => entry.name === name) as OptimizerEntry;
const faults = (name: string, config: Record<string, Json>, trainsetSize = 50) =>
  found((v) => checkConfig(find(name), config, { trainset: trainsetSize }, v.at("config")));
const together = (optimizers: Json, strategy: Json = "p", more = {}) => ({ optimizers, strategy, ...more });

for (const { name, parameters, refused } of optimizers)
  test(`${name} ${refused === "" ? "runs with nothing said" : "is refused with a reason"}`, (t) => {
    t.is(parameters.length > 0, refused === "");
    for (const { type, name: parameter, defaultValue } of parameters) {
      if (type !== "dict[str, Optimizer]") t.notThrows(() => parseType(type));
      const own = defaultValue === undefined ? {} : { [parameter]: defaultValue };
      if (name !== "BetterTogether") t.deepEqual(faults(name, own), []);
    }
  });

const right: [why: string, name: string, config: Record<string, Json>, trainsetSize?: number][] = [
  [
    "its arguments",
    "BootstrapFewShot",
    { max_bootstrapped_demos: 4, max_labeled_demos: 16, max_rounds: 2, metric_threshold: 0.5 },
  ],
  ["null for none", "BootstrapFewShot", { metric_threshold: null }],
  ["counts without auto", "MIPROv2", { num_candidates: 4, num_trials: 8, minibatch: false }, 10],
  [
    "counts with auto null",
    "MIPROv2",
    { auto: null, num_candidates: 4, num_trials: 8, minibatch_size: 8 },
    10,
  ],
  ["few examples, which auto scores in full", "MIPROv2", { auto: "heavy", minibatch_size: 100 }, 10],
  ["no demos at all", "MIPROv2", { max_bootstrapped_demos: 0, max_labeled_demos: 0 }],
  ["a batch that is the trainset", "SIMBA", { bsize: 8 }, 8],
  ["one of three", "GEPA", { max_metric_calls: 30 }],
  [
    "optimizers in an order",
    "BetterTogether",
    together(
      { p: { name: "BootstrapFewShot" }, q: { name: "MIPROv2", config: { auto: "light" } } },
      "p -> q -> p",
    ),
  ],
  [
    "nothing held out where that is said",
    "BetterTogether",
    together({ p: { name: "SIMBA", config: { bsize: 4 } } }, "p", { valset_ratio: 0 }),
    4,
  ],
];
for (const [why, name, config, trainsetSize] of right)
  test(`${name} takes ${why}`, (t) => t.deepEqual(faults(name, config, trainsetSize), []));

const wrong: [
  why: string,
  name: string,
  config: Record<string, Json>,
  faults: string[],
  trainsetSize?: number,
][] = [
  ["an argument that it has not", "BootstrapFewShot", { num_threads: 4 }, ["config.num_threads: unknown"]],
  ["a path", "GEPA", { log_dir: "/tmp/x" }, ["config.log_dir: unknown"]],
  ["an argument of another optimizer", "LabeledFewShot", { max_rounds: 1 }, ["config.max_rounds: unknown"]],
  [
    "a number out of bounds",
    "COPRO",
    { breadth: 1, depth: 0 },
    ["config.breadth: range", "config.depth: range"],
  ],
  ["a text for a number", "BootstrapFewShot", { max_rounds: "2" }, ["config.max_rounds: type"]],
  ["half a number", "BootstrapFewShot", { max_rounds: 1.5 }, ["config.max_rounds: type"]],
  ["another word", "MIPROv2", { auto: "extreme" }, ["config.auto: literal"]],
  ["auto beside counts", "MIPROv2", { auto: "light", num_trials: 4 }, ["config.num_trials: conflict"]],
  ["one count of two", "MIPROv2", { num_candidates: 4 }, ["config.num_trials: missing"]],
  [
    "neither auto nor counts",
    "MIPROv2",
    { auto: null },
    ["config.num_candidates: missing", "config.num_trials: missing"],
  ],
  [
    "parts larger than the whole",
    "MIPROv2",
    { num_candidates: 4, num_trials: 8 },
    ["config.minibatch_size: range"],
    10,
  ],
  [
    "parts larger than auto's whole",
    "MIPROv2",
    { minibatch_size: 90 },
    ["config.minibatch_size: range"],
    100,
  ],
  [
    "labeled demos alone",
    "MIPROv2",
    { max_bootstrapped_demos: 0 },
    ["config.max_bootstrapped_demos: conflict"],
  ],
  ["a batch larger than the trainset", "SIMBA", { bsize: 9 }, ["config.bsize: range"], 8],
  ["by itself a batch larger than the trainset", "SIMBA", {}, ["config.bsize: range"], 8],
  ["two of three", "GEPA", { auto: "light", max_full_evals: 3 }, ["config.max_full_evals: conflict"]],
  ["nothing", "BetterTogether", {}, ["config.optimizers: missing", "config.strategy: missing"]],
  ["a list of optimizers", "BetterTogether", together([]), ["config.optimizers: type"]],
  ["no optimizer", "BetterTogether", together({}), ["config.optimizers: length", "config.strategy: unknown"]],
  [
    "itself",
    "BetterTogether",
    together({ p: { name: "BetterTogether" } }),
    ["config.optimizers.p.name: unknown"],
  ],
  [
    "a refused one",
    "BetterTogether",
    together({ p: { name: "BootstrapFinetune" } }),
    ["config.optimizers.p.name: unknown"],
  ],
  [
    "a name that DSPy has itself",
    "BetterTogether",
    together({ metric: { name: "COPRO" } }, "metric"),
    ["config.optimizers.metric: pattern"],
  ],
  [
    "a step that is not there",
    "BetterTogether",
    together({ p: { name: "COPRO" } }, "p -> w"),
    ["config.strategy: unknown"],
  ],
  [
    "arrows without blanks",
    "BetterTogether",
    together({ p: { name: "COPRO" } }, "p->p"),
    ["config.strategy: unknown"],
  ],
  [
    "what an optimizer in it refuses",
    "BetterTogether",
    together({ p: { name: "COPRO", config: { breadth: 0 } }, q: { name: "COPRO", path: "x" } }),
    ["config.optimizers.p.config.breadth: range", "config.optimizers.q.path: unknown"],
  ],
  [
    "a share of none",
    "BetterTogether",
    together({ p: { name: "COPRO" } }),
    ["config.valset_ratio: range"],
    5,
  ],
  [
    "a batch larger than what the share leaves",
    "BetterTogether",
    together({ p: { name: "SIMBA", config: { bsize: 20 } } }),
    ["config.optimizers.p.config.bsize: range"],
    20,
  ],
];
for (const [why, name, config, expected, trainsetSize] of wrong)
  test(`${name} refuses ${why}`, (t) => t.deepEqual(faults(name, config, trainsetSize), expected));
