import {
  type Field,
  type FieldDraft,
  isSameSignature,
  type Signature,
  type SignatureDraft,
} from "../signature/signature.ts";
import { formatType } from "../signature/type.ts";
import type { Definition, Module, ModuleDraft } from "./program.ts";

/**
 * Turns modules back into drafts, to be wired again; a module with the program's signature follows
 * it.
 */
export function redraftModules({
  modules,
  signature,
}: Pick<Definition, "modules" | "signature">): ModuleDraft[] {
  return modules.map((module) => redraft(module, signature));
}

function redraft(
  { name, type, signature, params, lm, wires, modules, tools = [], lms }: Module,
  own: Signature,
): ModuleDraft {
  return {
    name,
    type,
    signature: isSameSignature(signature, own) ? undefined : redraftSignature(signature),
    params,
    lm,
    inputFrom: namedWires({ wires }),
    modules: redraftModules({ modules, signature: own }),
    tools,
    ...(lms && { lms }),
  };
}

/** The wires whose source is not the program input of the same name. */
export function namedWires({ wires }: Pick<Module, "wires">): [input: string, from: string][] {
  return wires
    .filter(({ input, module, field }) => module !== "" || input !== field)
    .map(({ input, module, field }) => [input, module === "" ? field : `${module}.${field}`]);
}

function redraftSignature({ name, instructions, inputs, outputs }: Signature): SignatureDraft {
  return {
    name,
    instructions,
    text: "",
    inputs: inputs.map(redraftField),
    outputs: outputs.map(redraftField),
  };
}

const redraftField = ({ type, ...field }: Field): FieldDraft => ({ ...field, type: formatType(type) });
