import type { LmRole } from "../catalogue/optimizers.ts";
import { checkParameters, type Parameter } from "../catalogue/parameter.ts";
import type { Field } from "../signature/signature.ts";
import { formatType, type Type } from "../signature/type.ts";
import type { Violations } from "../violations.ts";
import type { Metric } from "./optimization.ts";

export type MetricEntry = {
  readonly name: string;
  readonly description: string;
  readonly parameters: readonly Parameter[];
  readonly refused: "";
  /** Whether it can look at an output of that type. */
  readonly fits: (type: Type) => boolean;
  /** The models of its own that a caller may choose. */
  readonly lms: readonly LmRole[];
};

const mostMetrics = 20;
/** Sums and products of weights stay numbers. */
const mostWeight = 1e9;
const bare = (type: Type): Type => (type.kind === "optional" ? bare(type.of) : type);
const kinds =
  (...names: readonly Type["kind"][]) =>
  (type: Type) =>
    names.includes(bare(type).kind);
const plain = { parameters: [], refused: "", lms: [] } as const;

/** The metrics there are. Texts are compared as DSPy does: in small letters, without punctuation, articles and further blanks. */
export const metrics: readonly MetricEntry[] = [
  {
    ...plain,
    name: "exact_match",
    description: "1 where the answer is what was expected, texts in it compared as DSPy does, else 0.",
    fits: () => true,
  },
  {
    ...plain,
    name: "contains",
    description: "1 where the answer has in it what was expected, as whole words, else 0.",
    fits: kinds("str", "literal"),
  },
  {
    ...plain,
    name: "token_f1",
    description: "How many words the answer and what was expected have in common, as F1.",
    fits: kinds("str", "literal"),
  },
  {
    ...plain,
    name: "numeric",
    description:
      "1 where the answer is no further from what was expected than the larger one of its tolerances, else 0.",
    parameters: [
      { name: "tolerance", type: "float", description: "As a difference.", defaultValue: 0, min: 0 },
      {
        name: "relative_tolerance",
        type: "float",
        description: "As a share of what was expected.",
        defaultValue: 1e-6,
        min: 0,
      },
    ],
    fits: kinds("int", "float"),
  },
  {
    ...plain,
    name: "list_f1",
    description: "How many elements the answer and what was expected have in common, in any order, as F1.",
    fits: kinds("list"),
  },
  {
    ...plain,
    name: "judge",
    description: "What a model says of the answer, by a rubric of the caller's.",
    parameters: [{ name: "rubric", type: "str", description: "What the judge holds an answer against." }],
    fits: () => true,
    lms: ["judge"],
  },
];

/** Checks metrics over those outputs. None at all is not wrong. */
export function checkMetrics(asked: readonly Metric[], outputs: readonly Field[], v: Violations): void {
  if (asked.length > mostMetrics) v.addHere(`has more than ${mostMetrics} metrics`, "length");
  else for (const [index, metric] of asked.entries()) checkMetric(metric, outputs, v.at(index));
}

function checkMetric(
  { name, field, params, weight }: Metric,
  outputs: readonly Field[],
  v: Violations,
): void {
  if (!(weight > 0 && weight <= mostWeight))
    v.add("weight", `must be above 0, and at most ${mostWeight}`, "range");
  const entry = metrics.find((candidate) => candidate.name === name);
  if (!entry) {
    const known = metrics.map((one) => one.name).join(", ");
    v.add("name", `is no metric; there is ${known}`, name === "" ? "missing" : "unknown");
    return;
  }
  checkParameters(params, entry.parameters, v.at("params"));
  if (name === "judge" && !params.rubric)
    v.at("params").add("rubric", "is missing: say what the judge holds an answer against", "missing");
  const looked = field === "" ? outputs : outputs.filter((output) => output.name === field);
  if (looked.length === 0)
    v.add("field", `is no output; there is ${outputs.map((output) => output.name).join(", ")}`, "unknown");
  const unfit = looked.find(({ type }) => !entry.fits(type));
  if (unfit)
    v.add(
      "field",
      `can't be looked at by ${name}: ${unfit.name} is of type ${formatType(unfit.type)}`,
      "type",
    );
}
