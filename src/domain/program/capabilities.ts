import { type CatalogueEntry, modules } from "../catalogue/modules.ts";
import { NotEnabled } from "../faults.ts";
import { createViolations, type Violations } from "../violations.ts";
import type { Models } from "./lm.ts";
import type { Module } from "./program.ts";
import { readToolName } from "./tool-name.ts";

export type Tool = { readonly name: string; readonly description: string };

/** The tools of the operator's MCP servers, and the servers that are unreachable now. */
export type Tools = { readonly tools: readonly Tool[]; readonly serversAway: readonly string[] };

/** The models, tools and features that the operator allows to programs. */
export type Offer = Models & {
  /** Whether modules may run code that the model writes. */
  readonly generatedCode: boolean;
  /** Undefined if the tools need no check, since they were checked before. */
  readonly tools: Tools | undefined;
};

const notEnabled =
  "runs code that the model writes, which the operator has not enabled (SIGRUN_GENERATED_CODE)";

/** The modules; those that run code are refused unless the operator enables them. */
export function offeredModules({ generatedCode }: Pick<Offer, "generatedCode">): readonly CatalogueEntry[] {
  return generatedCode
    ? modules
    : modules.map((entry) => (entry.runsCode ? { ...entry, refused: notEnabled } : entry));
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
    const users = modules.filter(({ takesTools }) => takesTools).map(({ name }) => name);
    v.addHere(`must be left out unless the module is ${users.join(" or ")}`, "unknown");
    return;
  }
  const names = known?.tools.map(({ name }) => name) ?? [];
  const unknown =
    names.length === 0 ? "unknown tool; there are none" : `unknown tool; expected one of ${names.join(", ")}`;
  const shown = named.map((tool) => readToolName(tool).shown);
  for (const [index, asked] of named.entries()) {
    if (v.isFull) return;
    const { name, shown: own } = readToolName(asked);
    const [server = ""] = name.split(".");
    if (shown.indexOf(own) < index) v.add(index, "is repeated", "duplicate");
    else if (own !== name && !shownNames.test(own)) v.add(index, shownRule, "pattern");
    else if (known?.serversAway.includes(server) && !names.includes(name))
      v.add(index, `belongs to the MCP server ${server}, which is unreachable now`, "away");
    else if (known && !names.includes(name)) v.add(index, unknown, "unknown");
  }
}

/** `finish` is ReAct's own tool. */
const shownNames = /^(?!finish$)[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
const shownRule =
  'must name the tool as in "server.tool as name", with a name of up to 64 letters, digits, "_", "." and "-" that is not "finish"';

/** Throws NotEnabled if a module runs code and the operator has not enabled it. */
export function assertEnabled(defined: readonly Module[], { generatedCode }: Offer, path: string): void {
  if (generatedCode) return;
  const v = createViolations(path);
  for (const [index, { type }] of defined.entries())
    if (modules.some(({ name, runsCode }) => name === type && runsCode))
      v.at("modules", index).add("type", `${type} ${notEnabled}`, "not_enabled");
  if (v.count > 0) throw new NotEnabled(v.list());
}
