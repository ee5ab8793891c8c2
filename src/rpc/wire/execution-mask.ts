import type { MessageInitShape } from "@bufbuild/protobuf";
import { createViolations, maxViolations } from "../../domain/violations.ts";
import {
  ExecutionSchema,
  ExecutionView,
  TokenUsageSchema,
} from "../../gen/sigrun/v1/execution_service_pb.ts";

type Message = MessageInitShape<typeof ExecutionSchema>;

/** The parts of an execution that a caller asked for. */
export type ExecutionMask = {
  /** The view that holds all of them. */
  readonly view: ExecutionView;
  apply(message: Message): Message;
};

const fields = new Map(ExecutionSchema.fields.map((field) => [field.name, field.localName]));
const usageNames = new Map(TokenUsageSchema.fields.map((field) => [field.name, field.localName]));
const fullNames = new Set(["inputs", "outputs", "steps"]);

/**
 * Reads a read_mask over Execution. A path is a field, a member of inputs or outputs such as
 * `outputs.answer`, or a count such as `token_usage.lm_calls`. An empty mask leaves the view as it
 * is; otherwise the mask alone decides.
 */
export function readExecutionMask(paths: readonly string[], view: ExecutionView): ExecutionMask {
  if (paths.length === 0) return { view, apply: (message) => message };
  const v = createViolations("read_mask.paths");
  const asked = new Map<string, Set<string> | "whole">();
  for (const [index, path] of paths.slice(0, maxViolations).entries()) {
    const [name = "", member] = splitOnce(path);
    if (path === "*") for (const field of fields.keys()) asked.set(field, "whole");
    else if (!fields.has(name))
      v.add(
        index,
        `unknown field ${JSON.stringify(name)}; expected one of ${[...fields.keys()].join(", ")}`,
        "unknown",
      );
    else if (member === undefined) asked.set(name, "whole");
    else if (name === "token_usage" && !usageNames.has(member))
      v.add(
        index,
        `token_usage has no ${JSON.stringify(member)}; expected one of ${[...usageNames.keys()].join(", ")}`,
        "unknown",
      );
    else if (name !== "token_usage" && name !== "inputs" && name !== "outputs")
      v.add(index, `must be ${name} alone; only inputs, outputs and token_usage have members`, "unknown");
    else {
      const members = asked.get(name) ?? new Set<string>();
      if (members !== "whole") asked.set(name, members.add(member));
    }
  }
  v.throwIfAny("REQUEST_INVALID");
  const isFull = [...asked.keys()].some((name) => fullNames.has(name));

  function apply(message: Message): Message {
    const held = message as Record<string, unknown>;
    const kept = [...asked].map(([name, members]): [string, unknown] => {
      const localName = fields.get(name) as string;
      return [localName, members === "whole" ? held[localName] : pick(held[localName], name, members)];
    });
    return Object.fromEntries(kept) as Message;
  }
  return { view: isFull ? ExecutionView.FULL : ExecutionView.BASIC, apply };
}

function pick(value: unknown, name: string, members: ReadonlySet<string>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const names = [...members].map(
    (member) => (name === "token_usage" ? usageNames.get(member) : member) as string,
  );
  return Object.fromEntries(Object.entries(value).filter(([key]) => names.includes(key)));
}

function splitOnce(path: string): [name: string, member?: string] {
  const dot = path.indexOf(".");
  return dot < 0 ? [path] : [path.slice(0, dot), path.slice(dot + 1)];
}
