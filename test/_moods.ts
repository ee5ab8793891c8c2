import { type Optimization, OptimizationStatus } from "../src/gen/sigrun/v1/optimization_service_pb.ts";
import type { Gateway } from "./_gateway.ts";
import type { Asked, Reply } from "./_model.ts";
import { until } from "./_wait.ts";

const moods = ["glad", "sad"] as const;

/** A dataset of sentences that contain their mood. */
export const sentences = Array.from({ length: 12 }, (_, n) => ({
  inputs: { text: `Sentence ${n} is ${moods[n % 2]}.` },
  outputs: { mood: moods[n % 2] as string },
}));

/** Creates a program that classifies the mood of a sentence. */
export async function createMoods({ programs }: Gateway, name = "Moods"): Promise<string> {
  const { program } = await programs.createProgram({
    program: { name, signature: { text: 'text -> mood: Literal["glad", "sad"]' } },
  });
  return program?.id ?? "";
}

/** A model that answers correctly if the prompt has demos, and "sad" otherwise. */
export function learning({ messages }: Asked): Reply {
  const isShown = messages.length > 2;
  const asked = messages.at(-1)?.content ?? "";
  return { fields: { mood: isShown && asked.includes("is glad") ? "glad" : "sad" } };
}

/** Waits until an optimization has ended, and returns its record. */
export function ended({ optimizations }: Gateway, id: string): Promise<Optimization> {
  return until(async () => {
    const { optimization } = await optimizations.getOptimization({ id });
    return optimization && optimization.status > OptimizationStatus.RUNNING ? optimization : undefined;
  });
}
