import type { Offer, Tools } from "../../domain/program/capabilities.ts";
import type { ModuleDraft } from "../../domain/program/program.ts";
import type { CallLimits } from "../../dspy/channel.ts";

type Deps = {
  sidecar: { tools(limits: CallLimits): Promise<Tools> };
  allowedModels: readonly string[];
  generatedCode: boolean;
};

const timeoutMs = 5_000;

/** Finds out what modules may use; the sidecar is asked for its tools only where one names any. */
export function createCapabilities({ sidecar, ...offer }: Deps) {
  return async function capabilitiesFor(drafts: readonly ModuleDraft[]): Promise<Offer> {
    const needsTools = drafts.some(({ tools, modules }) =>
      [tools, ...modules.map((inner) => inner.tools)].some(({ length }) => length > 0),
    );
    return { ...offer, tools: needsTools ? await sidecar.tools({ timeoutMs }) : undefined };
  };
}
