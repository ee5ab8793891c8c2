import type { Offer, Tools } from "../../domain/program/capabilities.ts";
import type { ModuleDraft } from "../../domain/program/program.ts";
import type { CallLimits } from "../../dspy/channel.ts";

type Deps = {
  sidecar: { tools(limits: CallLimits): Promise<Tools> };
  allowedModels: readonly string[];
  generatedCode: boolean;
};

const timeoutMs = 5_000;

/** Gives what modules may use. Asks the sidecar for its tools only if a module names one. */
export function createCapabilities({ sidecar, ...operator }: Deps) {
  return async function capabilitiesFor(drafts: readonly ModuleDraft[]): Promise<Offer> {
    const needsTools = drafts.some(({ tools, modules }) =>
      [tools, ...modules.map((inner) => inner.tools)].some(({ length }) => length > 0),
    );
    return { ...operator, tools: needsTools ? await sidecar.tools({ timeoutMs }) : undefined };
  };
}
