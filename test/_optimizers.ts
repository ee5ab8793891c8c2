import type { Gateway } from "./_gateway.ts";
import type { Asked, Reply } from "./_model.ts";
import { learning, sentences } from "./_moods.ts";

/** A model that waits until the test lets it answer. */
export function gated(): { by: (asked: Asked) => Reply; open(): void } {
  let open = () => {};
  const after = new Promise<void>((resolve) => (open = resolve));
  return { by: (asked) => ({ ...learning(asked), after }) as Reply, open: () => open() };
}

/** Begins an optimization, and returns its id. */
export async function begin({ programs }: Gateway, programId: string): Promise<string> {
  const { optimization } = await programs.optimizeProgram({ programId, dataset: sentences });
  return optimization?.id ?? "";
}
