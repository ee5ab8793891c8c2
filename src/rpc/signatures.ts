import type { ServiceImpl } from "@connectrpc/connect";
import type { createCreateSignature } from "../actions/signatures/create.ts";
import type { createGetSignature } from "../actions/signatures/get.ts";
import { Invalid } from "../domain/faults.ts";
import type { SignatureService } from "../gen/sigrun/v1/signature_service_pb.ts";
import { callerOf, usualMs } from "./caller.ts";
import { draftOfSignature, storedSignatureMessage } from "./wire/signature.ts";

type Actions = { createSignature: ReturnType<typeof createCreateSignature>; getSignature: ReturnType<typeof createGetSignature> };

export function signatureService({ createSignature, getSignature }: Actions): Partial<ServiceImpl<typeof SignatureService>> {
  return {
    async createSignature({ signature, validateOnly }, context) {
      const { project } = callerOf(context, usualMs.read);
      if (!signature) throw new Invalid("REQUEST_INVALID", [{ field: "signature", description: "is missing", reason: "missing" }]);
      return { signature: storedSignatureMessage(await createSignature(project, draftOfSignature(signature), validateOnly)) };
    },

    async getSignature({ key }, context) {
      const { project } = callerOf(context, usualMs.read);
      if (key.case === undefined)
        throw new Invalid("REQUEST_INVALID", [{ field: "id", description: "is missing: send an id or a name", reason: "missing" }]);
      return {
        signature: storedSignatureMessage(await getSignature(project, key.case === "id" ? { id: key.value } : { name: key.value })),
      };
    },
  };
}
