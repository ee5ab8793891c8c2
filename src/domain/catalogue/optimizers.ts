import type { Violations } from "../violations.ts";
import { betterTogether } from "./better-together.ts";
import { fewShotOptimizers } from "./few-shot-optimizers.ts";
import { instructionOptimizers } from "./instruction-optimizers.ts";
import { mipro } from "./mipro.ts";
import type { OptimizerEntry } from "./optimizer.ts";
import { refusedOptimizers } from "./refused-optimizers.ts";

const single: readonly OptimizerEntry[] = [...fewShotOptimizers, mipro, ...instructionOptimizers];

/** The optimizers of DSPy, with DSPy's own names and defaults of their arguments. */
export const optimizers: readonly OptimizerEntry[] = [
  ...single,
  betterTogether(single),
  ...refusedOptimizers,
];

/** The optimizer of that name, if this server runs it. */
export function findOptimizer(name: string, v: Violations): OptimizerEntry | undefined {
  const entry = optimizers.find((candidate) => candidate.name === name);
  if (entry?.refused === "") return entry;
  const known = optimizers.filter(({ refused }) => refused === "").map((one) => one.name);
  const why = entry ? `${name} ${entry.refused}` : `unknown optimizer ${JSON.stringify(name)}`;
  v.addHere(`${why}; expected one of ${known.join(", ")}`, entry ? "unsupported" : "unknown");
  return undefined;
}
