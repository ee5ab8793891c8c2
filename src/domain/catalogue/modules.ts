import type { Values } from "../execution.ts";
import { parseType, type Type } from "../signature/type.ts";
import type { Violations } from "../violations.ts";
import type { Parameter } from "./parameter.ts";

export type CatalogueEntry = {
  readonly name: string;
  readonly description: string;
  readonly parameters: readonly Parameter[];
  /** Why this server refuses it; "" if it does not. */
  readonly refused: string;
  /** When DSPy removes it, and what takes its place; "" if it stays. */
  readonly deprecated: string;
  /** Extra outputs. A wrapper that lists none inherits those of the wrapped module. */
  readonly makes: readonly { readonly name: string; readonly type: Type }[];
  /** The modules that it can wrap, the default first; empty if it wraps none. */
  readonly wraps: readonly string[];
  /** Names of the inputs that it adds itself. */
  readonly adds: readonly string[];
  /** The keys of Module.lms: models that it asks in addition to its own. */
  readonly lms: readonly string[];
  /** Whether it calls the tools that a program lists. */
  readonly takesTools: boolean;
  /** Whether it runs code that the model writes, which the operator must enable. */
  readonly runsCode: boolean;
  /** Checks which parameters go together; called with their defaults set. */
  readonly checkParams?: (params: Values, v: Violations) => void;
};

const plain = {
  parameters: [],
  refused: "",
  deprecated: "",
  makes: [],
  wraps: [],
  adds: [],
  lms: [],
  takesTools: false,
  runsCode: false,
};
const text = (name: string) => [{ name, type: parseType("str") }];
const maxChains = 10;
const deprecated = "DSPy 3.5 removes this module; use RLM instead";

const attempts: readonly Parameter[] = [
  { name: "N", type: "int", description: "Maximum number of attempts.", defaultValue: 3, min: 1, max: 20 },
  {
    name: "reward_fn",
    type: 'Literal["fits", "judge"]',
    description:
      "How an answer is scored from 0 to 1: fits is the share of outputs that satisfy their types and constraints; judge is the model's judgement by a rubric.",
    defaultValue: "fits",
  },
  {
    name: "rubric",
    type: "str",
    description: "The criteria by which the judge scores an answer; only for reward_fn judge.",
  },
  {
    name: "threshold",
    type: "float",
    description: "The score that ends the attempts.",
    defaultValue: 1,
    min: 0,
    max: 1,
  },
  {
    name: "fail_count",
    type: "int",
    description: "Maximum number of failed attempts; N if left out.",
    min: 1,
    max: 20,
  },
];

/** The rubric and the judge need each other. */
function checkRubric({ reward_fn: reward, rubric }: Values, v: Violations): void {
  if (reward === "judge" && (rubric ?? "") === "")
    v.add("rubric", "is missing; reward_fn judge needs the criteria by which it scores an answer", "missing");
  if (reward !== "judge" && rubric !== undefined)
    v.add("rubric", "must be left out unless reward_fn is judge", "unknown");
}

const chains: readonly Parameter[] = [
  { name: "M", type: "int", description: "Lines of reasoning.", defaultValue: 3, min: 2, max: maxChains },
  {
    name: "temperature",
    type: "float",
    description: "Temperature of the lines and of their comparison.",
    defaultValue: 0.7,
    min: 0,
    max: 2,
  },
];

const iterations = (defaultValue: number, max: number): Parameter => ({
  name: "max_iters",
  type: "int",
  description: "Maximum number of turns.",
  defaultValue,
  min: 1,
  max,
});

/** The modules of DSPy. The parameters are an allow-list: never an address, a key or code. */
export const modules: readonly CatalogueEntry[] = [
  { ...plain, name: "Predict", description: "Asks the model once for the outputs." },
  {
    ...plain,
    name: "ChainOfThought",
    description: "Has the model reason before it answers.",
    makes: text("reasoning"),
  },
  {
    ...plain,
    name: "BestOfN",
    description:
      "Runs the wrapped module up to N times, at temperature 1, and takes the first answer that reaches the threshold, else the best.",
    parameters: attempts,
    checkParams: checkRubric,
    wraps: ["Predict", "ChainOfThought"],
  },
  {
    ...plain,
    name: "Refine",
    description: "Like BestOfN, but each further attempt gets the model's own advice on the previous one.",
    parameters: attempts,
    checkParams: checkRubric,
    wraps: ["Predict", "ChainOfThought"],
    adds: ["hint_"],
  },
  {
    ...plain,
    name: "MultiChainComparison",
    description:
      "Runs a ChainOfThought M times and has the model compare the lines of reasoning, by the last output of each.",
    parameters: chains,
    makes: text("rationale"),
    wraps: ["ChainOfThought"],
    adds: Array.from({ length: maxChains }, (_, index) => `reasoning_attempt_${index + 1}`),
  },
  {
    ...plain,
    name: "ReAct",
    description:
      "Has the model think and call tools in turns, then answer. CatalogService/ListTools lists the tools.",
    parameters: [iterations(20, 50)],
    makes: text("reasoning"),
    adds: ["trajectory", "next_thought", "next_tool_name", "next_tool_args", "max_iters"],
    takesTools: true,
  },
  {
    ...plain,
    name: "ProgramOfThought",
    description: "Has the model write a program, runs it, and has the model answer by what came out.",
    parameters: [iterations(3, 20)],
    makes: text("reasoning"),
    adds: ["generated_code", "previous_code", "error", "final_generated_code", "code_output"],
    runsCode: true,
    deprecated,
  },
  {
    ...plain,
    name: "CodeAct",
    description:
      "Has the model write and run code in turns, then answer. It can't call tools, since DSPy would need their source.",
    parameters: [iterations(5, 20)],
    makes: text("reasoning"),
    adds: ["trajectory", "generated_code", "finished", "max_iters"],
    runsCode: true,
    deprecated,
  },
  {
    ...plain,
    name: "RLM",
    description:
      "Has the model explore its inputs by code that may ask a model and call tools, for inputs longer than a prompt.",
    parameters: [
      iterations(20, 50),
      {
        name: "max_llm_calls",
        type: "int",
        description: "Maximum number of requests that the code makes.",
        defaultValue: 50,
        min: 1,
        max: 500,
      },
      {
        name: "max_output_chars",
        type: "int",
        description: "Maximum number of characters of the code's output that the model sees.",
        defaultValue: 10_000,
        min: 100,
        max: 100_000,
      },
    ],
    makes: text("final_reasoning"),
    adds: `trajectory variables_info repl_history iteration reasoning code interpreter_factory
      llm_query llm_query_batched SUBMIT print json dspy`.split(/\s+/),
    lms: ["sub_lm"],
    takesTools: true,
    runsCode: true,
  },
];

/** The members of LmSettings.params. Callers can set no other argument of the model's client. */
export const lmParameters: readonly Parameter[] = [
  { name: "top_p", type: "float", description: "Nucleus sampling.", min: 0, max: 1 },
  { name: "stop", type: "list[str]", description: "Texts at which the model stops." },
  { name: "seed", type: "int", description: "For models that can repeat themselves." },
  {
    name: "presence_penalty",
    type: "float",
    description: "Penalty for words that occur already.",
    min: -2,
    max: 2,
  },
  {
    name: "frequency_penalty",
    type: "float",
    description: "Penalty for words that occur often.",
    min: -2,
    max: 2,
  },
  {
    name: "reasoning_effort",
    type: 'Literal["none", "minimal", "low", "medium", "high"]',
    description: "For models that reason.",
  },
];

export const adapters: readonly string[] = ["ChatAdapter", "JSONAdapter", "XMLAdapter"];
