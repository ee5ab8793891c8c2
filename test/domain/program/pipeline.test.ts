import test, { type ExecutionContext } from "ava";
import { NotEnabled } from "../../../src/domain/faults.ts";
import { definePipeline } from "../../../src/domain/program/pipeline.ts";
import { dspyProgramId, type ModuleDraft } from "../../../src/domain/program/program.ts";
import { defineSignature } from "../../../src/domain/signature/define.ts";
import type { SignatureDraft } from "../../../src/domain/signature/signature.ts";
import { refused } from "../_refused.ts";

const text = (text: string): SignatureDraft => ({
  name: "",
  instructions: "",
  text,
  inputs: [],
  outputs: [],
});
const tools = { tools: [{ name: "weather.forecast", description: "" }], serversAway: ["news"] };
const offer = { allowedModels: ["openai/scripted"], generatedCode: false, tools };

type Written = Partial<Omit<ModuleDraft, "signature" | "inputFrom" | "modules">> & {
  signature?: string;
  inputFrom?: Record<string, string>;
  modules?: Written[];
};

const module = ({ signature, inputFrom = {}, modules = [], ...rest }: Written): ModuleDraft => ({
  name: "",
  type: "Predict",
  params: {},
  lm: {},
  tools: [],
  ...rest,
  modules: modules.map(module),
  signature: signature === undefined ? undefined : text(signature),
  inputFrom: Object.entries(inputFrom),
});

const define = (signature: string, modules: Written[], lm = {}) =>
  definePipeline(
    defineSignature(text(signature), "program.signature"),
    modules.map(module),
    lm,
    offer,
    "program",
  );
const faults = (t: ExecutionContext, signature: string, modules: Written[], lm = {}) =>
  refused(t, () => define(signature, modules, lm));
const wires = ({ modules }: ReturnType<typeof define>) =>
  modules.flatMap(({ name, wires }) =>
    wires.map(({ input, module, field }) => `${name}.${input} <- ${module}.${field}`),
  );

test("no module means one Predict over the program's signature", (t) => {
  const made = define("question -> answer", []);
  t.deepEqual(wires(made), ["predict.question <- .question"]);
  t.deepEqual(made.outputs, [{ input: "answer", module: "predict", field: "answer" }]);
});

test("an input takes the field that input_from names, else the nearest earlier field of its name", (t) => {
  const made = define("question -> answer", [
    { name: "search", signature: "question -> passages: list[str], question_again" },
    {
      name: "rerank",
      signature: "question, passages: list[str] -> passages_ranked: list[str]",
      inputFrom: { question: "search.question_again" },
    },
    {
      name: "answer_it",
      type: "ChainOfThought",
      signature: "question, passages: list[str] -> answer",
      inputFrom: { passages: "rerank.passages_ranked" },
    },
  ]);
  t.deepEqual(wires(made), [
    "search.question <- .question",
    "rerank.question <- search.question_again",
    "rerank.passages <- search.passages",
    "answer_it.question <- .question",
    "answer_it.passages <- rerank.passages_ranked",
  ]);
});

test("ChainOfThought's reasoning may be taken by a later module, and be an output of the program", (t) => {
  const made = define("question -> answer, reasoning", [
    { name: "think", type: "ChainOfThought", signature: "question -> draft" },
    { name: "say", signature: "draft, thoughts -> answer", inputFrom: { thoughts: "think.reasoning" } },
  ]);
  t.deepEqual(
    made.outputs.map(({ module, field }) => `${module}.${field}`),
    ["say.answer", "think.reasoning"],
  );
});

test("an input takes a source if every value of the source's type fits", (t) => {
  const made = () =>
    define("count: int, kind: Literal['a'] -> done: bool", [
      { signature: "count: float, kind, note: Optional[str] -> done: bool", inputFrom: { note: "kind" } },
    ]);
  t.notThrows(made);
});

const wrong: [why: string, signature: string, modules: Written[], faults: string[]][] = [
  [
    "an input nobody provides",
    "q -> a",
    [{ signature: "q, context -> a" }],
    ["program.modules[0].input_from.context: missing"],
  ],
  [
    "an output nobody makes",
    "q -> a, b",
    [{ signature: "q -> a" }],
    ["program.signature.outputs[1]: missing"],
  ],
  [
    "an input of another type",
    "q: int -> a",
    [{ signature: "q: list[int] -> a" }],
    ["program.modules[0].input_from.q: type"],
  ],
  [
    "a float where an int is taken",
    "q: float -> a",
    [{ signature: "q: int -> a" }],
    ["program.modules[0].input_from.q: type"],
  ],
  [
    "nothing where a value is taken",
    "q: Optional[str] -> a",
    [{ signature: "q: str -> a" }],
    ["program.modules[0].input_from.q: type"],
  ],
  [
    "an output of another type",
    "q -> a: int",
    [{ signature: "q -> a: str" }],
    ["program.signature.outputs[0]: type"],
  ],
  [
    "a circle",
    "q -> a",
    [
      { name: "one", signature: "q, x -> y", inputFrom: { x: "two.x" } },
      { name: "two", signature: "y -> x, a" },
    ],
    ["program.modules[0].input_from.x: circle"],
  ],
  [
    "a module that takes from itself",
    "q -> a",
    [{ name: "one", signature: "q, x -> a", inputFrom: { x: "one.a" } }],
    ["program.modules[0].input_from.x: circle"],
  ],
  [
    "a source that is not there",
    "q -> a",
    [{ inputFrom: { q: "nobody.q" } }],
    ["program.modules[0].input_from.q: unknown"],
  ],
  [
    "an input that the module has not",
    "q -> a",
    [{ inputFrom: { nope: "q" } }],
    ["program.modules[0].input_from.nope: unknown"],
  ],
  ["an unknown module", "q -> a", [{ type: "Predictt" }], ["program.modules[0].type: unknown"]],
  ["no type", "q -> a", [{ type: "" }], ["program.modules[0].type: missing"]],
  [
    "an unknown parameter",
    "q -> a",
    [{ params: { api_base: "http://x" } }],
    ["program.modules[0].params.api_base: unknown"],
  ],
  ["two of one name", "q -> a", [{ name: "one" }, { name: "one" }], ["program.modules[1].name: duplicate"]],
  ["a name of dspy.Module's", "q -> a", [{ name: "forward" }], ["program.modules[0].name: reserved"]],
  ["a name of Python's", "q -> a", [{ name: "class" }], ["program.modules[0].name: reserved"]],
  [
    "a field that the module makes itself",
    "q -> a, reasoning",
    [{ type: "ChainOfThought" }],
    ["program.modules[0].signature: duplicate"],
  ],
  [
    "a wrong signature of a module",
    "q -> a",
    [{ signature: "q -> a: nope" }],
    ["program.modules[0].signature.text: type", "program.signature.outputs[0]: missing"],
  ],
  [
    "a model that is not allowed",
    "q -> a",
    [{ lm: { model: "openai/other" } }],
    ["program.modules[0].lm.model: literal"],
  ],
  [
    "tools of a module that calls none",
    "q -> a",
    [{ tools: ["weather.forecast"] }],
    ["program.modules[0].tools: unknown"],
  ],
  [
    "tools that there are not",
    "q -> a",
    [{ type: "ReAct", tools: ["weather.forecast", "nope", "weather.forecast", "news.today", "weather.x"] }],
    [
      "program.modules[0].tools[1]: unknown",
      "program.modules[0].tools[2]: duplicate",
      "program.modules[0].tools[3]: away",
      "program.modules[0].tools[4]: unknown",
    ],
  ],
  [
    "a field that ReAct has itself",
    "q, max_iters: int -> a",
    [{ type: "ReAct" }],
    ["program.modules[0].signature: duplicate"],
  ],
  [
    "turns out of bounds",
    "q -> a",
    [{ type: "ReAct", params: { max_iters: 0 } }],
    ["program.modules[0].params.max_iters: range"],
  ],
];
for (const [why, signature, modules, expected] of wrong)
  test(`a wiring is refused for ${why}`, (t) => t.deepEqual(faults(t, signature, modules), expected));

test("refuses modules that run code unless the operator enables them", (t) => {
  const run = (generatedCode: boolean, type: string) =>
    definePipeline(
      defineSignature(text("q -> a"), "s"),
      [module({ type })],
      {},
      { ...offer, generatedCode },
      "program",
    );
  for (const type of ["ProgramOfThought", "CodeAct", "RLM"]) {
    const fault = t.throws(() => run(false, type), { instanceOf: NotEnabled });
    t.deepEqual(
      fault?.violations.map(({ field }) => field),
      ["program.modules[0].type"],
    );
    t.is(run(true, type).modules[0]?.type, type);
  }
});

test("keeps the tools of a module; a module without tools keeps its id", (t) => {
  t.deepEqual(define("q -> a", [{ type: "ReAct", tools: ["weather.forecast"] }]).modules[0]?.tools, [
    "weather.forecast",
  ]);
  t.false("tools" in (define("q -> a", [{}]).modules[0] ?? {}));
});

test("gives a wrapper its default wrapped module and its default parameters", (t) => {
  const { modules } = define("q -> a", [
    { type: "BestOfN" },
    { type: "MultiChainComparison", params: { M: 5 } },
  ]);
  t.deepEqual(
    modules.map(({ params }) => params),
    [
      { N: 3, reward_fn: "fits", threshold: 1 },
      { M: 5, temperature: 0.7 },
    ],
  );
  t.deepEqual(
    modules.map(({ modules: [inner] }) => inner?.type),
    ["Predict", "ChainOfThought"],
  );
});

test("a later module can take the extra outputs of a wrapped module, and a comparison's rationale", (t) => {
  const made = define("q -> a, reasoning, rationale", [
    { type: "Refine", name: "best", signature: "q -> draft", modules: [{ type: "ChainOfThought" }] },
    { type: "MultiChainComparison", signature: "draft -> a" },
  ]);
  t.deepEqual(
    made.outputs.map(({ module, field }) => `${module}.${field}`),
    ["multi_chain_comparison.a", "best.reasoning", "multi_chain_comparison.rationale"],
  );
});

const misWrapped: [why: string, module: Written, faults: string[]][] = [
  ["a module that wraps none", { type: "Predict", modules: [{}] }, ["modules: unknown"]],
  ["two in one", { type: "BestOfN", modules: [{}, {}] }, ["modules: length"]],
  [
    "one that can't be wrapped",
    { type: "BestOfN", modules: [{ type: "Refine" }] },
    ["modules[0].type: literal"],
  ],
  [
    "another signature inside",
    { type: "BestOfN", signature: "q -> a", modules: [{ signature: "q -> a, b" }] },
    ["modules[0].signature: conflict"],
  ],
  [
    "settings inside",
    { type: "BestOfN", modules: [{ lm: { temperature: 1 }, inputFrom: { q: "q" } }] },
    ["modules[0].input_from: unknown", "modules[0].lm: unknown"],
  ],
  [
    "a parameter out of its bounds",
    { type: "BestOfN", params: { N: 0, threshold: 2 } },
    ["params.N: range", "params.threshold: range"],
  ],
  [
    "a reward of the caller's",
    { type: "Refine", params: { reward_fn: "lambda: 1" } },
    ["params.reward_fn: literal"],
  ],
  [
    "a judge without a rubric",
    { type: "Refine", params: { reward_fn: "judge" } },
    ["params.rubric: missing"],
  ],
  ["a rubric without a judge", { type: "Refine", params: { rubric: "x" } }, ["params.rubric: unknown"]],
  [
    "a name that it adds",
    { type: "Refine", signature: "q, hint_ -> a", inputFrom: { hint_: "q" } },
    ["signature: duplicate"],
  ],
];
for (const [why, written, expected] of misWrapped)
  test(`a wrapping is refused for ${why}`, (t) =>
    t.deepEqual(
      faults(t, "q -> a", [written]),
      expected.map((fault) => `program.modules[0].${fault}`),
    ));

test("refuses unknown models, adapters and parameters of the model", (t) => {
  const lm = {
    model: "x/y",
    temperature: 9,
    maxTokens: 0,
    adapter: "Nope",
    params: { api_key: "k", top_p: 2, seed: "7", stop: ["x"] },
  };
  t.deepEqual(faults(t, "q -> a", [], lm), [
    "program.lm.adapter: literal",
    "program.lm.max_tokens: range",
    "program.lm.model: literal",
    "program.lm.params.api_key: unknown",
    "program.lm.params.seed: type",
    "program.lm.params.top_p: range",
    "program.lm.temperature: range",
  ]);
});

test("a definition's id depends on all of its content", (t) => {
  const signature = defineSignature(text("q -> a"), "signature");
  const idOf = (modules: Written[], compiledState = "") =>
    dspyProgramId({ signature, ...define("q -> a", modules), compiledState });
  t.is(idOf([]), idOf([]));
  t.is(
    new Set([
      idOf([]),
      idOf([], "{}"),
      idOf([{ type: "ChainOfThought" }]),
      idOf([{ lm: { temperature: 1 } }]),
      idOf([{ name: "x" }]),
    ]).size,
    5,
  );
});
