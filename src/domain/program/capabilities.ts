import { type CatalogueEntry, modules } from "../catalogue/modules.ts";
import { NotEnabled, type Violation } from "../faults.ts";
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

/** What is wrong with the tools that a module names. */
export function toolViolations(
  named: readonly string[],
  entry: CatalogueEntry | undefined,
  { tools: known }: Offer,
  path: string,
): Violation[] {
  if (named.length === 0) return [];
  if (!entry?.takesTools)
    return [{ field: `${path}.tools`, description: "are for ReAct", reason: "unknown" }];
  return named.flatMap((name, index) => {
    const refuse = (description: string, reason: string) => [
      { field: `${path}.tools[${index}]`, description, reason },
    ];
    if (named.indexOf(name) < index) return refuse("stands there already", "duplicate");
    if (!known || known.tools.some((tool) => tool.name === name)) return [];
    const [server = ""] = name.split(".");
    if (known.serversAway.includes(server))
      return refuse(`is of the MCP server ${server}, which can't be reached right now`, "away");
    return refuse(
      `is no tool; there is ${known.tools.map((tool) => tool.name).join(", ") || "none"}`,
      "unknown",
    );
  });
}

/** Refuses modules that run code where the operator has not switched that on. */
export function assertEnabled(defined: readonly Module[], { generatedCode }: Offer, path: string): void {
  if (generatedCode) return;
  const violations = defined.flatMap(({ type }, index) =>
    modules.some(({ name, runsCode }) => name === type && runsCode)
      ? [
          {
            field: `${path}.modules[${index}].type`,
            description: `${type} ${switchedOff}`,
            reason: "not_enabled",
          },
        ]
      : [],
  );
  if (violations.length > 0) throw new NotEnabled(violations);
}
