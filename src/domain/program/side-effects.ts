import { modules as catalogue } from "../catalogue/modules.ts";
import type { Definition, Module } from "./program.ts";

const runsCode = new Set(catalogue.filter((entry) => entry.runsCode).map(({ name }) => name));

/**
 * Whether a run may have effects outside the model, by a tool or by code that the model writes.
 * Such a run is sent to one worker alone, and is not run again after a crash.
 */
export const hasSideEffects = ({ modules }: Pick<Definition, "modules">): boolean => modules.some(mayAct);

const mayAct = ({ type, tools = [], modules }: Module): boolean =>
  tools.length > 0 || runsCode.has(type) || modules.some(mayAct);
