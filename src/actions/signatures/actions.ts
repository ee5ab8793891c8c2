import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { Store } from "../../store/store.ts";
import { createCreateSignature } from "./create.ts";
import { createGetSignature } from "./get.ts";
import { createListSignatures } from "./list.ts";
import { createValidate } from "./validate.ts";

type Deps = { store: Store; schemas: SchemaCache };

export type SignatureActions = ReturnType<typeof createSignatureActions>;

export function createSignatureActions({ store, schemas }: Deps) {
  const { signatures, programs } = store;
  return {
    createSignature: createCreateSignature({ signatures }),
    getSignature: createGetSignature({ signatures }),
    listSignatures: createListSignatures({ signatures }),
    deleteSignature: signatures.remove,
    validate: createValidate({ signatures, programs, schemas }),
  };
}
