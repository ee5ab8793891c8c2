import type { Json } from "./json.ts";
import { parseType, type Type } from "./type.ts";

/** A setting that a caller may send: its type in DSPy's notation, and its bounds. */
export type Parameter = {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly defaultValue?: Json;
  readonly min?: number;
  readonly max?: number;
};

export type CatalogueEntry = {
  readonly name: string;
  readonly description: string;
  readonly parameters: readonly Parameter[];
  /** Why it is refused here; "" where it is not. */
  readonly refused: string;
  /** What a module makes beside the outputs of its signature. */
  readonly makes: readonly { readonly name: string; readonly type: Type }[];
};

const later = "is not built into this version yet";
const runsCode = "runs code that the model writes, which this server does not";
const reasoning = [{ name: "reasoning", type: parseType("str") }];

/** The modules of DSPy, with the parameters that callers may set: an allow-list, never an address, a key or code. */
export const modules: readonly CatalogueEntry[] = [
  { name: "Predict", description: "Asks the model once for the outputs.", parameters: [], refused: "", makes: [] },
  { name: "ChainOfThought", description: "Has the model reason before it answers.", parameters: [], refused: "", makes: reasoning },
  { name: "BestOfN", description: "Runs a module several times and takes the best answer.", parameters: [], refused: later, makes: [] },
  { name: "Refine", description: "Runs a module again with advice until its answer is good.", parameters: [], refused: later, makes: [] },
  { name: "MultiChainComparison", description: "Compares several lines of reasoning.", parameters: [], refused: later, makes: [] },
  { name: "ReAct", description: "Has the model call tools.", parameters: [], refused: later, makes: [] },
  { name: "ProgramOfThought", description: "Has the model write a program.", parameters: [], refused: runsCode, makes: [] },
  { name: "CodeAct", description: "Has the model write code that calls tools.", parameters: [], refused: runsCode, makes: [] },
  { name: "RLM", description: "Has the model explore its inputs by code.", parameters: [], refused: runsCode, makes: [] },
];

/** What LmSettings.params may hold. Nothing else of a caller's reaches the model's client. */
export const lmParameters: readonly Parameter[] = [
  { name: "top_p", type: "float", description: "Nucleus sampling.", min: 0, max: 1 },
  { name: "stop", type: "list[str]", description: "Texts at which the model stops." },
  { name: "seed", type: "int", description: "For models that can repeat themselves." },
  { name: "presence_penalty", type: "float", description: "Against words that stand already.", min: -2, max: 2 },
  { name: "frequency_penalty", type: "float", description: "Against words that stand often.", min: -2, max: 2 },
  { name: "reasoning_effort", type: 'Literal["none", "minimal", "low", "medium", "high"]', description: "For models that reason." },
];

export const adapters: readonly string[] = ["ChatAdapter", "JSONAdapter", "XMLAdapter"];
