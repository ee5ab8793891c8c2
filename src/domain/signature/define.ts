import { Invalid, type Violation } from "../faults.ts";
import { maxViolations, textFault } from "../json.ts";
import { defineField, isKeyword } from "./fields.ts";
import {
  type Field,
  type FieldDraft,
  type Signature,
  type SignatureDraft,
  signatureHash,
} from "./signature.ts";
import { formatSignatureText, readSignatureText } from "./text.ts";

const className = /^[A-Za-z_][A-Za-z0-9_]{0,199}$/;
/** True of what could be a signature's name. */
export const isSignatureName = (text: string): boolean => className.test(text) && !isKeyword(text);
const mostFields = 100;
const longestInstructions = 100_000;

/** Reads a signature as a caller wrote it; refuses with everything that is wrong, each fault under the path. */
export function defineSignature(draft: SignatureDraft, path: string): Signature {
  const violations: Violation[] = [];
  const refuse = (part: string, description: string, reason: string) =>
    violations.push({ field: `${path}.${part}`, description, reason });
  const written = draft.inputs.length + draft.outputs.length > 0;
  const { inputs, outputs } =
    written || draft.text === ""
      ? draft
      : readSignatureText(draft.text, (why) => refuse("text", why, "text"));

  if (draft.name !== "" && !isSignatureName(draft.name))
    refuse("name", "must be a Python class name", "pattern");
  const fault = textFault(draft.instructions);
  if (fault) refuse("instructions", fault, "text");
  if (draft.instructions.length > longestInstructions)
    refuse("instructions", `is longer than ${longestInstructions} characters`, "length");
  const isRead = violations.length === 0;
  if (isRead && inputs.length === 0) refuse("inputs", "needs a field at least", "missing");
  if (isRead && outputs.length === 0) refuse("outputs", "needs a field at least", "missing");
  if (inputs.length + outputs.length > mostFields)
    refuse("inputs", `has more than ${mostFields} fields with its outputs`, "length");

  const fromText = !written && draft.text !== "";
  const read = (drafts: readonly FieldDraft[], side: "inputs" | "outputs") =>
    drafts.slice(0, mostFields).map((field, index) => {
      const found: Violation[] = [];
      const defined = defineField(field, `${path}.${side}[${index}]`, side === "inputs", found);
      // A text has no fields of the caller's to point at.
      const told = found.map((v) => ({
        ...v,
        field: `${path}.text`,
        description: `field ${JSON.stringify(field.name)}: ${v.description}`,
      }));
      violations.push(...(fromText ? told.slice(0, 1) : found));
      return defined;
    });
  const signature = {
    name: draft.name,
    instructions: draft.instructions,
    inputs: read(inputs, "inputs"),
    outputs: read(outputs, "outputs"),
  };
  checkUnique(signature, path, fromText, violations);
  // What was read has both, and may be sent back.
  if (written && draft.text !== "" && violations.length === 0 && !saysTheSame(draft.text, signature))
    refuse(
      "text",
      `says something else than the inputs and outputs beside it, which are ${formatSignatureText(signature)}`,
      "conflict",
    );
  if (violations.length > 0) throw new Invalid("SIGNATURE_INVALID", violations.slice(0, maxViolations));
  return signature.name === "" ? { ...signature, name: derivedName(signature) } : signature;
}

function saysTheSame(text: string, signature: Signature): boolean {
  try {
    const read = defineSignature({ name: "", instructions: "", text, inputs: [], outputs: [] }, "");
    return formatSignatureText(read) === formatSignatureText(signature);
  } catch (error) {
    if (error instanceof Invalid) return false;
    throw error;
  }
}

/** Over inputs and outputs together, also as protobuf writes names in JSON: foo_bar and fooBar are one. */
function checkUnique(
  { inputs, outputs }: Signature,
  path: string,
  fromText: boolean,
  violations: Violation[],
): void {
  const seen = new Map<string, string>();
  for (const [side, fields] of Object.entries({ inputs, outputs })) {
    for (const [index, { name }] of fields.entries()) {
      const jsonName = name.replace(/_+([A-Za-z0-9]|$)/g, (_, next: string) => next.toUpperCase());
      const earlier = seen.get(jsonName);
      const field = fromText ? `${path}.text` : `${path}.${side}[${index}].name`;
      if (earlier === undefined) seen.set(jsonName, name);
      else
        violations.push({
          field,
          description: `${JSON.stringify(name)} is the same name as ${JSON.stringify(earlier)} before it`,
          reason: "duplicate",
        });
    }
  }
}

/** "QuestionToAnswer_3f9a1c" */
function derivedName(signature: Signature): string {
  const camel = (fields: readonly Field[]) =>
    fields
      .flatMap(({ name }) => name.split("_"))
      .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
      .join("")
      .slice(0, 80);
  return `${camel(signature.inputs)}To${camel(signature.outputs)}_${signatureHash(signature).slice(0, 6)}`;
}
