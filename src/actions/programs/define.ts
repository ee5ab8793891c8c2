import { Invalid, type Violation } from "../../domain/faults.ts";
import { textFault } from "../../domain/json.ts";
import { type Labels, labelViolations } from "../../domain/labels.ts";
import type { LmSettings, ModuleDraft } from "../../domain/program/program.ts";
import { defineSignature } from "../../domain/signature/define.ts";
import { type Signature, type SignatureDraft, signatureHash } from "../../domain/signature/signature.ts";
import { isUuid } from "../../domain/uuid.ts";
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

const maxName = 200;
const maxDescription = 10_000;

/** Checks name, description and labels. */
export function textPartViolations({
  name,
  description,
  labels,
}: Partial<Pick<CallerProgram, "name" | "description" | "labels">>): Violation[] {
  return [
    ...(name === undefined ? [] : textViolations(name, "program.name", 1, maxName)),
    ...(description === undefined
      ? []
      : textViolations(description, "program.description", 0, maxDescription)),
    ...(labels === undefined ? [] : labelViolations(labels, "program.labels")),
  ];
}

function textViolations(text: string, field: string, minLength: number, maxLength: number): Violation[] {
  if (text.length < minLength) return [{ field, description: "is missing", reason: "missing" }];
  if ([...text].length > maxLength)
    return [{ field, description: `must have at most ${maxLength} characters`, reason: "length" }];
  const fault = textFault(text);
  return fault ? [{ field, description: fault, reason: "text" }] : [];
}

/** The signature of a program: by signature_id, inline, or both if they are the same. */
export async function signatureOf(
  signatures: SignatureStore,
  project: string,
  asked: CallerProgram,
): Promise<Signature> {
  const { signatureId, signature } = asked;
  const refuse = (field: string, description: string, reason: string) =>
    new Invalid("PROGRAM_INVALID", [{ field, description, reason }]);
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

/** The result of `define`. If it throws Invalid, adds the violations and gives undefined. */
export async function collect<T>(
  violations: Violation[],
  define: () => Promise<T> | T,
): Promise<T | undefined> {
  try {
    return await define();
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    violations.push(...error.violations);
    return undefined;
  }
}
