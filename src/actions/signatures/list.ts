import type { AskedList } from "../../domain/query/listing.ts";
import { signatureFields } from "../../domain/query/queryable.ts";
import { weigh, weighTexts } from "../../domain/query/size.ts";
import type { SignatureStore, StoredSignature } from "../../store/programs/signatures.ts";
import { type List, list } from "../list.ts";

export function createListSignatures({ signatures }: { signatures: SignatureStore }) {
  return (project: string, request: AskedList): Promise<List<StoredSignature>> =>
    list(request, signatureFields, ["signatures", project], {
      find: (listing) => signatures.find(project, listing),
      count: (listing) => signatures.count(project, listing),
      bytesOf: (signature) => weigh(signature) + weighTexts([signature]),
    });
}
