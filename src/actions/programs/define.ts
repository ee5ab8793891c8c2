import { isLonger, maxCharacters } from "../../domain/bounds.ts";
import { Invalid } from "../../domain/faults.ts";
import { textFault } from "../../domain/json.ts";
import { checkLabels, type Labels } from "../../domain/labels.ts";
import type { LmSettings, ModuleDraft } from "../../domain/program/program.ts";
import { defineSignature } from "../../domain/signature/define.ts";
import { type Signature, type SignatureDraft, signatureHash } from "../../domain/signature/signature.ts";
import { isUuid } from "../../domain/uuid.ts";
import type { Violations } from "../../domain/violations.ts";
import type { SignatureStore } from "../../store/programs/signatures.ts";

/** A program as its caller sends it. */
export type CallerProgram = {
  readonly name: string;
  readonly description: string;
  readonly handle: string;
  readonly labels: Labels;
  readonly signatureId: string;
  readonly signature: SignatureDraft | undefined;
  readonly modules: readonly ModuleDraft[];
  readonly lm: LmSettings;
};

/** The same program with each input_from in the order of its keys. */
export function sortWires(program: CallerProgram): CallerProgram {
  const sorted = (modules: readonly ModuleDraft[]): ModuleDraft[] =>
    modules.map((module) => ({
      ...module,
      inputFrom: module.inputFrom.toSorted(([one], [other]) => (one < other ? -1 : 1)),
      modules: sorted(module.modules),
    }));
  return { ...program, modules: sorted(program.modules) };
}

/** Checks name, description and labels. */
export function checkTextParts(
  { name, description, labels }: Partial<Pick<CallerProgram, "name" | "description" | "labels">>,
  v: Violations,
): void {
  if (name === "") v.add("name", "is missing", "missing");
  else if (name !== undefined) checkText(name, maxCharacters.name, v.at("name"));
  if (description !== undefined) checkText(description, maxCharacters.description, v.at("description"));
  if (labels !== undefined) checkLabels(labels, v.at("labels"));
}

function checkText(text: string, maxLength: number, v: Violations): void {
  const isTooLong = isLonger(text, maxLength);
  const fault = isTooLong ? undefined : textFault(text);
  if (isTooLong) v.addHere(`must have at most ${maxLength} characters`, "length");
  else if (fault) v.addHere(fault, "text");
}

/** The signature of a program: by signature_id, inline, or both if they are the same. */
export async function signatureOf(
  signatures: SignatureStore,
  project: string,
  callerProgram: CallerProgram,
): Promise<Signature> {
  const { signatureId, signature } = callerProgram;
  const refuse = (field: string, description: string, reason: string) =>
    Invalid.at("PROGRAM_INVALID", field, description, reason);
  if (signatureId !== "" && !isUuid(signatureId))
    throw refuse("program.signature_id", "must be a UUID", "type");
  if (signatureId === "" && !signature)
    throw refuse("program.signature", "is missing: send a signature or a signature_id", "missing");
  const defined = signature && defineSignature(signature, "program.signature");
  if (signatureId === "") return defined as Signature;
  const stored = await signatures.get(project, { id: signatureId });
  if (defined && signatureHash(defined) !== signatureHash(stored))
    throw refuse("program.signature_id", "differs from program.signature; send one of the two", "conflict");
  const { name, instructions, inputs, outputs } = stored;
  return { name, instructions, inputs, outputs };
}
