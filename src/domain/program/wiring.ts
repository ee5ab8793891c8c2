import type { Field, Signature } from "../signature/signature.ts";
import { formatType, type Type } from "../signature/type.ts";
import type { Violations } from "../violations.ts";
import type { Wire } from "./program.ts";

/** The inputs and outputs of a module. */
export type Wired = {
  readonly name: string;
  readonly takes: readonly Field[];
  readonly makes: readonly Pick<Field, "name" | "type">[];
};

/**
 * Finds the source of each input: the one in input_from, else the nearest earlier field of its
 * name.
 */
export function wireInputs(
  wired: Wired,
  inputFrom: ReadonlyMap<string, string>,
  { signature, earlier, all }: { signature: Signature; earlier: readonly Wired[]; all: readonly string[] },
  v: Violations,
): Wire[] {
  for (const input of inputFrom.keys())
    if (!wired.takes.some(({ name }) => name === input))
      v.add(input, "unknown input; the module's signature has no such field", "unknown");

  return wired.takes.flatMap(({ name: input, type }) => {
    const asked = inputFrom.get(input);
    const source =
      asked === undefined ? nearest(input, signature, earlier) : named(asked, signature, earlier);
    if (source === undefined) {
      const [module = ""] = (asked ?? "").split(".");
      if (asked?.includes(".") && all.includes(module))
        v.add(input, `takes from ${JSON.stringify(module)}, which does not run before this module`, "circle");
      else if (asked !== undefined)
        v.add(
          input,
          'must be an input of the program, or an output of an earlier module as in "module.field"',
          "unknown",
        );
      else
        v.add(
          input,
          `${JSON.stringify(input)} has no source; add it to the program's inputs or to an earlier module's outputs`,
          "missing",
        );
      return [];
    }
    if (!fits(source.type, type)) {
      v.add(
        input,
        `is of type ${formatType(type)}, but its source is of type ${formatType(source.type)}`,
        "type",
      );
      return [];
    }
    return [{ input, module: source.module, field: source.field }];
  });
}

/** Finds the source of each program output: the last module with an output of its name. */
export function wireOutputs(signature: Signature, wired: readonly Wired[], v: Violations): Wire[] {
  return signature.outputs.flatMap(({ name, type }, index) => {
    const maker = wired.findLast(({ makes }) => makes.some((made) => made.name === name));
    const made = maker?.makes.find((candidate) => candidate.name === name);
    if (!maker || !made) {
      v.add(index, `${JSON.stringify(name)} has no source; add it to the outputs of a module`, "missing");
      return [];
    }
    if (!fits(made.type, type)) {
      const description = `is of type ${formatType(type)}, but module ${JSON.stringify(maker.name)} makes a ${formatType(made.type)}`;
      v.add(index, description, "type");
      return [];
    }
    return [{ input: name, module: maker.name, field: name }];
  });
}

type Source = { readonly module: string; readonly field: string; readonly type: Type };

function nearest(name: string, signature: Signature, earlier: readonly Wired[]): Source | undefined {
  const maker = earlier.findLast(({ makes }) => makes.some((made) => made.name === name));
  return maker ? named(`${maker.name}.${name}`, signature, earlier) : named(name, signature, earlier);
}

/** "field" is a program input; "module.field" is an output of a module. */
function named(from: string, signature: Signature, earlier: readonly Wired[]): Source | undefined {
  const dot = from.indexOf(".");
  const [module, field] = dot < 0 ? ["", from] : [from.slice(0, dot), from.slice(dot + 1)];
  const fields = module === "" ? signature.inputs : earlier.find(({ name }) => name === module)?.makes;
  const found = fields?.find(({ name }) => name === field);
  return found && { module, field, type: found.type };
}

/** Whether every value of type `from` is also a value of type `to`. */
function fits(from: Type, to: Type): boolean {
  if (to.kind === "optional") return fits(from.kind === "optional" ? from.of : from, to.of);
  if (from.kind === "int" && to.kind === "float") return true;
  if (from.kind === "literal" && to.kind === "str") return true;
  return formatType(from) === formatType(to);
}
