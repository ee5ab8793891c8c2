import { maxCharacters, maxElements } from "../bounds.ts";
import { Invalid } from "../faults.ts";
import { textFault } from "../json.ts";
import { createViolations, type Violations } from "../violations.ts";
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
/** True for a text that can be a signature's name. */
export const isSignatureName = (text: string): boolean => className.test(text) && !isKeyword(text);
const maxFields = maxElements.fields;
const maxInstructions = maxCharacters.instructions;

/** Reads a caller's signature. Throws Invalid with all violations, under the path. */
export function defineSignature(draft: SignatureDraft, path: string): Signature {
  const v = createViolations(path);
  const isWritten = draft.inputs.length + draft.outputs.length > 0;
  const { inputs, outputs } =
    isWritten || draft.text === ""
      ? draft
      : readSignatureText(draft.text, (why) => v.add("text", why, "text"));

  if (draft.name !== "" && !isSignatureName(draft.name))
    v.add("name", "must be a Python class name, such as QuestionAnswering", "pattern");
  const fault = textFault(draft.instructions);
  if (fault) v.add("instructions", fault, "text");
  if (draft.instructions.length > maxInstructions)
    v.add("instructions", `must have at most ${maxInstructions} characters`, "length");
  const isRead = v.count === 0;
  if (isRead && outputs.length === 0) v.add("outputs", "must have at least one field", "missing");
  if (inputs.length + outputs.length > maxFields)
    v.add("inputs", `must have at most ${maxFields} fields together with the outputs`, "length");

  const isFromText = !isWritten && draft.text !== "";
  const read = (drafts: readonly FieldDraft[], side: "inputs" | "outputs") =>
    drafts.slice(0, maxFields).map((field, index) => {
      const found = createViolations();
      const defined = defineField(field, side === "inputs", found);
      const [first] = found.list();
      // A field of a text has no path of its own.
      if (!isFromText) v.at(side, index).take(found.list());
      else if (first)
        v.add("text", `field ${JSON.stringify(field.name)}: ${first.description}`, first.reason);
      return defined;
    });
  const signature = {
    name: draft.name,
    instructions: draft.instructions,
    inputs: read(inputs, "inputs"),
    outputs: read(outputs, "outputs"),
  };
  checkUnique(signature, isFromText, v);
  // A signature that was read has both text and fields, and may be sent back.
  if (isWritten && draft.text !== "" && v.count === 0 && !saysTheSame(draft.text, signature))
    v.add("text", `must match inputs and outputs, which are ${formatSignatureText(signature)}`, "conflict");
  v.throwIfAny("SIGNATURE_INVALID");
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

/**
 * Names must differ over inputs and outputs, also in protobuf's JSON, where foo_bar and fooBar are
 * one.
 */
function checkUnique({ inputs, outputs }: Signature, isFromText: boolean, v: Violations): void {
  const seen = new Map<string, string>();
  for (const [side, fields] of Object.entries({ inputs, outputs })) {
    for (const [index, { name }] of fields.entries()) {
      const jsonName = name.replace(/_+([A-Za-z0-9]|$)/g, (_, next: string) => next.toUpperCase());
      const earlier = seen.get(jsonName);
      if (earlier === undefined) seen.set(jsonName, name);
      else {
        const place = isFromText ? v.at("text") : v.at(side, index, "name");
        const description = `${JSON.stringify(name)} repeats the name of the earlier field ${JSON.stringify(earlier)}`;
        place.addHere(description, "duplicate");
      }
    }
  }
}

/** The name of a signature that has none of its own: "QuestionToAnswer_3f9a1c". */
export function derivedName(signature: Signature): string {
  const camel = (fields: readonly Field[]) =>
    fields
      .flatMap(({ name }) => name.split("_"))
      .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
      .join("")
      .slice(0, 80);
  return `${camel(signature.inputs)}To${camel(signature.outputs)}_${signatureHash(signature).slice(0, 6)}`;
}
