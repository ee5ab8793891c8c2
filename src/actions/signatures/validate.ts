import type { Values } from "../../domain/execution.ts";
import type { Checked, SchemaCache } from "../../domain/signature/schema.ts";
import { checkUuid } from "../../domain/uuid.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { SignatureStore } from "../../store/programs/signatures.ts";

/** The signature, or the program whose signature, the values are checked against. */
export type ValidationKey =
  | { readonly id: string }
  | { readonly name: string }
  | { readonly programId: string };

type Deps = { signatures: SignatureStore; programs: ProgramStore; schemas: SchemaCache };

/** Coerces and checks values as a run would do it. */
export function createValidate({ signatures, programs, schemas }: Deps) {
  return async function validate(
    project: string,
    key: ValidationKey,
    side: "inputs" | "outputs",
    values: Values,
  ): Promise<Checked> {
    return schemas.of(await signatureOf(project, key))[side].validate(values);
  };

  async function signatureOf(project: string, key: ValidationKey) {
    if ("programId" in key)
      return (await programs.getRevision(project, key.programId, 0)).revision.definition.signature;
    if ("id" in key) checkUuid(key.id, "id");
    return signatures.get(project, key);
  }
}
