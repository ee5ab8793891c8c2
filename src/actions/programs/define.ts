import { Invalid, type Violation } from "../../domain/faults.ts";
import { textFault } from "../../domain/json.ts";
import { type Labels, labelViolations } from "../../domain/labels.ts";
import type { LmSettings, ModuleDraft } from "../../domain/program/program.ts";
import { defineSignature } from "../../domain/signature/define.ts";
import { type Signature, type SignatureDraft, signatureHash } from "../../domain/signature/signature.ts";
import { isUuid } from "../../domain/uuid.ts";
import type { SignatureStore } from "../../store/programs/signatures.ts";

/** A program as a caller writes it. */
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

const longestName = 200;
const longestDescription = 10_000;

/** What is wrong with what people read of a program. */
export function wordViolations({
  name,
  description,
  labels,
}: Partial<Pick<CallerProgram, "name" | "description" | "labels">>): Violation[] {
  return [
    ...(name === undefined ? [] : textViolations(name, "program.name", 1, longestName)),
    ...(description === undefined
      ? []
      : textViolations(description, "program.description", 0, longestDescription)),
    ...(labels === undefined ? [] : labelViolations(labels, "program.labels")),
  ];
}

function textViolations(text: string, field: string, shortest: number, longest: number): Violation[] {
  if (text.length < shortest) return [{ field, description: "is missing", reason: "missing" }];
  if ([...text].length > longest)
    return [{ field, description: `is longer than ${longest} characters`, reason: "length" }];
  const fault = textFault(text);
  return fault ? [{ field, description: fault, reason: "text" }] : [];
}

/** The signature that a program names or brings along; where it does both, they must say the same. */
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
    throw refuse("program.signature_id", "names another signature than the one beside it", "conflict");
  const { name, instructions, inputs, outputs } = stored;
  return { name, instructions, inputs, outputs };
}

/** What a definition gives; undefined where it is refused, and then why goes to the violations. */
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
