import { checkUuid } from "../../domain/uuid.ts";
import type { SignatureStore, StoredSignature } from "../../store/programs/signatures.ts";

export type SignatureKey = { readonly id: string } | { readonly name: string };

export function createGetSignature({ signatures }: { signatures: SignatureStore }) {
  return async function getSignature(project: string, key: SignatureKey): Promise<StoredSignature> {
    if ("id" in key) checkUuid(key.id, "id");
    return signatures.get(project, key);
  };
}
