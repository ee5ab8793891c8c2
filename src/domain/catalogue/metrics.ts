import type { Type } from "../signature/type.ts";
import type { LmRole } from "./optimizer.ts";
import type { Parameter } from "./parameter.ts";

export type MetricEntry = {
  readonly name: string;
  readonly description: string;
  readonly parameters: readonly Parameter[];
  readonly refused: "";
  /** Whether it can score an output of that type. */
  readonly fits: (type: Type) => boolean;
  /** Whether it compares an output with the expected one, which every example must then have. */
  readonly needsExpected: boolean;
  /** The models of its own that a caller may choose. */
  readonly lms: readonly LmRole[];
};

const bare = (type: Type): Type => (type.kind === "optional" ? bare(type.of) : type);
const kinds =
  (...names: readonly Type["kind"][]) =>
  (type: Type) =>
    names.includes(bare(type).kind);
const plain = { parameters: [], refused: "", lms: [], needsExpected: true } as const;

/**
 * The metrics. Texts are compared as DSPy does: in lower case, without punctuation, articles and
 * repeated blanks.
 */
export const metrics: readonly MetricEntry[] = [
  {
    ...plain,
    name: "exact_match",
    description: "1 if the answer equals the expected one, with texts compared as DSPy does, else 0.",
    fits: () => true,
  },
  {
    ...plain,
    name: "contains",
    description: "1 if the answer contains the expected one as whole words, else 0.",
    fits: kinds("str", "literal"),
  },
  {
    ...plain,
    name: "token_f1",
    description: "The words that the answer and the expected one have in common, as F1.",
    fits: kinds("str", "literal"),
  },
  {
    ...plain,
    name: "numeric",
    description:
      "1 if the answer differs from the expected one by at most the larger of its tolerances, else 0.",
    parameters: [
      { name: "tolerance", type: "float", description: "Maximum difference.", defaultValue: 0, min: 0 },
      {
        name: "relative_tolerance",
        type: "float",
        description: "Maximum difference, as a share of the expected number.",
        defaultValue: 1e-6,
        min: 0,
      },
    ],
    fits: kinds("int", "float"),
  },
  {
    ...plain,
    name: "list_f1",
    description: "The elements that the answer and the expected one have in common, in any order, as F1.",
    fits: kinds("list"),
  },
  {
    ...plain,
    name: "judge",
    description: "The score that a model gives the answer, by a rubric of the caller's.",
    parameters: [
      {
        name: "rubric",
        type: "str",
        description: "The criteria by which the judge scores an answer.",
        isRequired: true,
      },
    ],
    fits: () => true,
    needsExpected: false,
    lms: ["judge"],
  },
];

export const findMetric = (name: string): MetricEntry | undefined =>
  metrics.find((entry) => entry.name === name);
