import type { JsonObject } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { SignatureActions } from "../actions/signatures/actions.ts";
import type { ValidationKey } from "../actions/signatures/validate.ts";
import { Invalid } from "../domain/faults.ts";
import type { Checked } from "../domain/signature/schema.ts";
import { checkUuid } from "../domain/uuid.ts";
import type { SignatureService, ValidateInputsRequest } from "../gen/sigrun/v1/signature_service_pb.ts";
import { callerOf } from "./caller.ts";
import { pageMessage } from "./wire/page.ts";
import { requiredField } from "./wire/required-field.ts";
import { draftOfSignature, storedSignatureMessage, valuesOf } from "./wire/signature.ts";

export function signatureService(actions: SignatureActions): ServiceImpl<typeof SignatureService> {
  return {
    async createSignature({ signature, validateOnly }, context) {
      const { project } = callerOf(context);
      if (!signature) throw Invalid.at("REQUEST_INVALID", "signature", "is missing", "missing");
      return {
        signature: storedSignatureMessage(
          await actions.createSignature(project, draftOfSignature(signature), validateOnly),
        ),
      };
    },

    async getSignature({ key }, context) {
      const { project } = callerOf(context);
      if (key.case === undefined)
        throw Invalid.at("REQUEST_INVALID", "id", "is missing: send an id or a name", "missing");
      return {
        signature: storedSignatureMessage(
          await actions.getSignature(project, key.case === "id" ? { id: key.value } : { name: key.value }),
        ),
      };
    },

    async listSignatures(request, context) {
      const { project } = callerOf(context);
      const { rows, ...page } = await actions.listSignatures(project, request);
      return { signatures: rows.map(storedSignatureMessage), ...pageMessage(page) };
    },

    async deleteSignature({ id }, context) {
      const { project } = callerOf(context);
      checkUuid(requiredField(id, "id"), "id");
      await actions.deleteSignature(project, id);
      return {};
    },

    async validateInputs({ key, values }, context) {
      const { project } = callerOf(context);
      return checkedMessage(await actions.validate(project, keyOf(key), "inputs", valuesOf(values)));
    },

    async validateOutputs({ key, values }, context) {
      const { project } = callerOf(context);
      return checkedMessage(await actions.validate(project, keyOf(key), "outputs", valuesOf(values)));
    },
  };
}

function keyOf(key: ValidateInputsRequest["key"]): ValidationKey {
  switch (key.case) {
    case "id":
      return { id: key.value };
    case "name":
      return { name: key.value };
    case "programId":
      return { programId: key.value };
    default:
      throw Invalid.at("REQUEST_INVALID", "id", "is missing: send an id, a name or a program_id", "missing");
  }
}

function checkedMessage(checked: Checked) {
  return checked.ok ? { values: checked.values as JsonObject } : { violations: [...checked.violations] };
}
