import { type CatalogueEntry, modules } from "../catalogue/modules.ts";
import { NotEnabled } from "../faults.ts";
import { createViolations, type Violations } from "../violations.ts";
import type { Models } from "./lm.ts";
import type { Module } from "./program.ts";

export type Tool = { readonly name: string; readonly description: string };

/** The tools of the operator's MCP servers, and the servers that can't be reached right now. */
export type Tools = { readonly tools: readonly Tool[]; readonly serversAway: readonly string[] };

/** What the operator lets programs use. */
export type Offer = Models & {
  /** Whether modules may run code that the model writes. */
  readonly generatedCode: boolean;
  /** Undefined where nobody needs to know: what is named was checked before. */
  readonly tools: Tools | undefined;
};

const switchedOff =
  "runs code that the model writes, which the operator has not switched on (SIGRUN_GENERATED_CODE)";

/** The modules, each with why it is refused here, where it is. */
export function offeredModules({ generatedCode }: Pick<Offer, "generatedCode">): readonly CatalogueEntry[] {
  return generatedCode
    ? modules
    : modules.map((entry) => (entry.runsCode ? { ...entry, refused: switchedOff } : entry));
}

/** Checks the tools that a module names. */
export function checkTools(
  named: readonly string[],
  entry: CatalogueEntry | undefined,
  { tools: known }: Offer,
  v: Violations,
): void {
  if (named.length === 0) return;
  if (!entry?.takesTools) {
    const names = modules.filter(({ takesTools }) => takesTools).map(({ name }) => name);
    v.addHere(`must be left out unless the module is ${names.join(" or ")}`, "unknown");
    return;
  }
  const there = known?.tools.map(({ name }) => name) ?? [];
  const unknown = `is no tool; there is ${there.join(", ") || "none"}`;
  for (const [index, name] of named.entries()) {
    if (v.isFull) return;
    if (named.indexOf(name) < index) v.add(index, "stands there already", "duplicate");
    if (named.indexOf(name) < index || !known || there.includes(name)) continue;
    const [server = ""] = name.split(".");
    if (known.serversAway.includes(server))
      v.add(index, `is of the MCP server ${server}, which can't be reached right now`, "away");
    else v.add(index, unknown, "unknown");
  }
}

/** Refuses modules that run code where the operator has not switched that on. */
export function assertEnabled(defined: readonly Module[], { generatedCode }: Offer, path: string): void {
  if (generatedCode) return;
  const v = createViolations(path);
  for (const [index, { type }] of defined.entries())
    if (modules.some(({ name, runsCode }) => name === type && runsCode))
      v.at("modules", index).add("type", `${type} ${switchedOff}`, "not_enabled");
  if (v.count > 0) throw new NotEnabled(v.list());
}
