import { maxElements } from "../bounds.ts";
import { type CatalogueEntry, modules as catalogue } from "../catalogue/modules.ts";
import { checkParameters, withDefaults } from "../catalogue/parameter.ts";
import { defineSignature } from "../signature/define.ts";
import { isKeyword } from "../signature/fields.ts";
import type { Signature } from "../signature/signature.ts";
import { createViolations, type Violations } from "../violations.ts";
import { assertEnabled, checkTools, type Offer, offeredModules } from "./capabilities.ts";
import { checkCodeNames } from "./code-tools.ts";
import { checkLm, checkRoles } from "./lm.ts";
import type { Definition, LmSettings, Module, ModuleDraft } from "./program.ts";
import { checkTaken, checkTakenParameter } from "./reasoning-models.ts";
import { type Wired, wireInputs, wireOutputs } from "./wiring.ts";
import { defineWrapped } from "./wrapping.ts";

const maxModules = maxElements.modules;
const names = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
/**
 * Members of dspy.Module, which would hide a module of the same name. A test in sidecar/tests
 * compares the list with DSPy.
 */
export const takenModuleNames: ReadonlySet<string> = new Set(
  `acall aforward batch callbacks copy deepcopy dump_state forward get_lm history inspect_history load load_state map_named_predictors
   named_parameters named_predictors named_sub_modules parameters predictors reset_copy save set_lm`.split(
    /\s+/,
  ),
);

/**
 * Checks the modules and wires them by field name. Throws Invalid with all violations, under the
 * path.
 */
export function definePipeline(
  signature: Signature,
  drafts: readonly ModuleDraft[],
  lm: LmSettings,
  offer: Offer,
  path: string,
): Pick<Definition, "modules" | "outputs" | "lm"> {
  const v = createViolations(path);
  checkLm(lm, offer, v.at("lm"));
  if (drafts.length > maxModules) v.add("modules", `must have at most ${maxModules} modules`, "length");

  const written = drafts.length === 0 ? [predict] : drafts.slice(0, maxModules);
  const all = nameAll(written, v.at("modules"));
  const earlier: Wired[] = [];
  const modules = written.map((draft, index) => {
    const place = v.at("modules", index);
    const name = all[index] as string;
    const entry = catalogue.find((candidate) => candidate.name === draft.type);
    checkDraft(draft, entry, offer, place);
    const layers = [
      { lm, v: v.at("lm") },
      { lm: draft.lm, v: place.at("lm") },
    ];
    checkTaken(layers, offer, place.at("lm"));
    for (const [role, own] of Object.entries(draft.lms ?? {}))
      checkTaken([...layers, { lm: own, v: place.at("lms", role) }], offer, place.at("lms", role));
    if (entry)
      checkTakenParameter(
        "temperature",
        draft.params,
        entry.parameters,
        [lm, draft.lm],
        offer,
        place.at("params"),
      );
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
        const description = `must not have a field ${JSON.stringify(taken)}; ${draft.type} adds it itself`;
        place.add("signature", description, "duplicate");
      }
    if (entry?.runsCode && entry.takesTools) {
      const inputs = wired.takes.map((field) => field.name);
      checkCodeNames(draft.tools, inputs, entry.adds, place.at("tools"));
    }
    const sources = { signature, earlier, all };
    const wires = wireInputs(wired, new Map(draft.inputFrom), sources, place.at("input_from"));
    earlier.push(wired);
    const params = withDefaults(draft.params, entry?.parameters ?? []);
    // Left out if none: an empty list would change the ids of programs without tools.
    const tools = draft.tools.length > 0 && { tools: draft.tools };
    const lms = draft.lms && { lms: draft.lms };
    return {
      name,
      type: draft.type,
      signature: own ?? signature,
      params,
      lm: draft.lm,
      wires,
      modules: inner,
      ...tools,
      ...lms,
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
    v.add(
      "type",
      `unknown module ${JSON.stringify(draft.type)}; expected one of ${known.join(", ")}`,
      draft.type === "" ? "missing" : "unknown",
    );
  else {
    const place = v.at("params");
    checkParameters(draft.params, entry.parameters, place);
    entry.checkParams?.(withDefaults(draft.params, entry.parameters), place);
  }
  checkLm(draft.lm, offer, v.at("lm"));
  checkRoles(draft.lms ?? {}, entry?.lms ?? [], v.at("lms"));
  for (const [role, lm] of Object.entries(draft.lms ?? {})) {
    checkLm(lm, offer, v.at("lms", role));
    if (lm.adapter !== undefined)
      v.at("lms", role).add("adapter", "must be left out; the module's own adapter holds", "unknown");
  }
  checkTools(draft.tools, entry, offer, v.at("tools"));
}

/**
 * The name of each module: its own, or one derived from its type, such as "predict" or "predict_2".
 */
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
      refuse("is reserved by Python or DSPy; choose another name", "reserved");
    else if (seen.has(name)) refuse("is already the name of an earlier module", "duplicate");
    seen.add(name);
    return name;
  });
}
