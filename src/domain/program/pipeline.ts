import { type CatalogueEntry, modules as catalogue } from "../catalogue/modules.ts";
import { checkParameters, withDefaults } from "../catalogue/parameter.ts";
import { defineSignature } from "../signature/define.ts";
import { isKeyword } from "../signature/fields.ts";
import type { Signature } from "../signature/signature.ts";
import { createViolations, type Violations } from "../violations.ts";
import { assertEnabled, checkTools, type Offer, offeredModules } from "./capabilities.ts";
import { checkLm } from "./lm.ts";
import type { Definition, LmSettings, Module, ModuleDraft } from "./program.ts";
import { type Wired, wireInputs, wireOutputs } from "./wiring.ts";
import { defineWrapped } from "./wrapping.ts";

const mostModules = 50;
const names = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
/** Members of dspy.Module, under which a module of a program would not be found; sidecar/tests holds the list against DSPy. */
export const takenModuleNames: ReadonlySet<string> = new Set(
  `acall aforward batch callbacks copy deepcopy dump_state forward get_lm history inspect_history load load_state map_named_predictors
   named_parameters named_predictors named_sub_modules parameters predictors reset_copy save set_lm`.split(
    /\s+/,
  ),
);

/** Wires modules by field name; refuses with everything that can't work, each fault under the path. */
export function definePipeline(
  signature: Signature,
  drafts: readonly ModuleDraft[],
  lm: LmSettings,
  offer: Offer,
  path: string,
): Pick<Definition, "modules" | "outputs" | "lm"> {
  const v = createViolations(path);
  checkLm(lm, offer, v.at("lm"));
  if (drafts.length > mostModules) v.add("modules", `has more than ${mostModules} modules`, "length");

  const written = drafts.length === 0 ? [predict] : drafts.slice(0, mostModules);
  const all = nameAll(written, v.at("modules"));
  const earlier: Wired[] = [];
  const modules = written.map((draft, index) => {
    const place = v.at("modules", index);
    const name = all[index] as string;
    const entry = catalogue.find((candidate) => candidate.name === draft.type);
    checkDraft(draft, entry, offer, place);
    const written = draft.signature ?? draft.modules[0]?.signature;
    const own = written ? place.at("signature").try(() => defineSignature(written, "")) : signature;
    const inner = entry && own ? defineWrapped(draft, entry, own, place) : [];
    const entries = [
      entry,
      ...inner.map(({ type }) => catalogue.find((candidate) => candidate.name === type)),
    ];
    const makes = entries.find((one) => one && one.makes.length > 0)?.makes ?? [];
    const wired: Wired = { name, takes: own?.inputs ?? [], makes: [...(own?.outputs ?? []), ...makes] };
    for (const taken of entries.flatMap((one) => [
      ...(one?.makes ?? []).map((made) => made.name),
      ...(one?.adds ?? []),
    ]))
      if ([...wired.takes, ...(own?.outputs ?? [])].some((field) => field.name === taken)) {
        const description = `has a field ${JSON.stringify(taken)}, which ${draft.type} has itself`;
        place.add("signature", description, "duplicate");
      }
    const sources = { signature, earlier, all };
    const wires = wireInputs(wired, new Map(draft.inputFrom), sources, place.at("input_from"));
    earlier.push(wired);
    const params = withDefaults(draft.params, entry?.parameters ?? []);
    // Left out where there are none, so that the ids of programs without any stay what they were.
    const tools = draft.tools.length > 0 && { tools: draft.tools };
    return {
      name,
      type: draft.type,
      signature: own ?? signature,
      params,
      lm: draft.lm,
      wires,
      modules: inner,
      ...tools,
    } satisfies Module;
  });
  const outputs = wireOutputs(signature, earlier, v.at("signature", "outputs"));
  v.throwIfAny("PROGRAM_INVALID");
  assertEnabled(modules, offer, path);
  return { modules, outputs, lm };
}

const predict: ModuleDraft = {
  name: "predict",
  type: "Predict",
  signature: undefined,
  params: {},
  lm: {},
  inputFrom: [],
  modules: [],
  tools: [],
};

function checkDraft(
  draft: ModuleDraft,
  entry: CatalogueEntry | undefined,
  offer: Offer,
  v: Violations,
): void {
  const known = offeredModules(offer)
    .filter(({ refused }) => refused === "")
    .map(({ name }) => name);
  if (!entry)
    v.add("type", `is no module; there is ${known.join(", ")}`, draft.type === "" ? "missing" : "unknown");
  else {
    const place = v.at("params");
    checkParameters(draft.params, entry.parameters, place);
    entry.checkParams?.(withDefaults(draft.params, entry.parameters), place);
  }
  checkLm(draft.lm, offer, v.at("lm"));
  checkTools(draft.tools, entry, offer, v.at("tools"));
}

/** Each module's name: its own, or one made from its type, "predict", "predict_2". */
function nameAll(drafts: readonly ModuleDraft[], v: Violations): string[] {
  const taken = new Set(drafts.map(({ name }) => name).filter(Boolean));
  const seen = new Set<string>();
  return drafts.map(({ name, type }, index) => {
    if (name === "") {
      const base = type.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase() || "module";
      let free = base;
      for (let count = 2; taken.has(free); count++) free = `${base}_${count}`;
      taken.add(free);
      return free;
    }
    const refuse = (description: string, reason: string) => v.at(index).add("name", description, reason);
    if (!names.test(name)) refuse(`must match ${names.source}`, "pattern");
    else if (isKeyword(name) || takenModuleNames.has(name))
      refuse("is a name that Python or DSPy takes for itself", "reserved");
    else if (seen.has(name)) refuse("is the name of an earlier module", "duplicate");
    seen.add(name);
    return name;
  });
}
