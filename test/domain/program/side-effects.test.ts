import test from "ava";
import type { Module } from "../../../src/domain/program/program.ts";
import { hasSideEffects } from "../../../src/domain/program/side-effects.ts";

const module = (type: string, more: Partial<Module> = {}): Module => ({
  name: "m",
  type,
  signature: { name: "S", instructions: "", inputs: [], outputs: [] },
  params: {},
  lm: {},
  wires: [],
  modules: [],
  ...more,
});

test("a program has side effects if any of its modules, or of those inside, has tools or runs code", (t) => {
  const react = module("ReAct", { tools: ["weather.forecast"] });
  for (const quiet of [
    module("Predict"),
    module("ReAct"),
    module("BestOfN", { modules: [module("ChainOfThought")] }),
  ])
    t.false(hasSideEffects({ modules: [quiet] }));
  for (const acting of [react, module("ProgramOfThought"), module("CodeAct"), module("RLM")]) {
    t.true(hasSideEffects({ modules: [module("Predict"), acting] }));
    t.true(hasSideEffects({ modules: [module("Refine", { modules: [acting] })] }));
  }
});
