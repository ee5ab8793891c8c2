import { v7 as uuidv7 } from "uuid";
import { defineSignature } from "../../domain/signature/define.ts";
import type { SignatureDraft } from "../../domain/signature/signature.ts";
import type { SignatureStore, StoredSignature } from "../../store/programs/signatures.ts";

/** Creates a signature, or gives the stored one if it has the same name and content. */
export function createCreateSignature({ signatures }: { signatures: SignatureStore }) {
  return async function createSignature(
    project: string,
    draft: SignatureDraft,
    validateOnly: boolean,
  ): Promise<StoredSignature> {
    const signature = defineSignature(draft, "signature");
    if (validateOnly) return { ...signature, id: uuidv7(), createdAt: new Date(), updatedAt: new Date() };
    return signatures.findOrCreate(project, signature);
  };
}
