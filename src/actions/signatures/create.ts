import { v7 as uuidv7 } from "uuid";
import { defineSignature } from "../../domain/signature/define.ts";
import type { SignatureDraft } from "../../domain/signature/signature.ts";
import type { SignatureStore, StoredSignature } from "../../store/programs/signatures.ts";

/**
 * Gives the version with this name and content, which is made if there is none. A signature that is
 * only validated has no version.
 */
export function createCreateSignature({ signatures }: { signatures: SignatureStore }) {
  return async function createSignature(
    project: string,
    draft: SignatureDraft,
    validateOnly: boolean,
  ): Promise<StoredSignature> {
    const signature = defineSignature(draft, "signature");
    if (validateOnly)
      return { ...signature, id: uuidv7(), version: 0, createdAt: new Date(), updatedAt: new Date() };
    return signatures.findOrCreate(project, signature);
  };
}
