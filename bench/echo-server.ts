// The minimum of connect-node for ValidateInputs and GetExecution: decode the request, and send a
// fixed answer.
import { readFileSync } from "node:fs";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { fromBinary } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ExecutionService, GetExecutionResponseSchema } from "../src/gen/sigrun/v1/execution_service_pb.ts";
import { SignatureService, ValidateInputsResponseSchema } from "../src/gen/sigrun/v1/signature_service_pb.ts";

const [validated, got] = process.argv.slice(2).map((file) => readFileSync(file)) as [Buffer, Buffer];
const validation = fromBinary(ValidateInputsResponseSchema, validated);
const execution = fromBinary(GetExecutionResponseSchema, got);
const adapter = connectNodeAdapter({
  routes(router) {
    router.rpc(SignatureService.method.validateInputs, () => validation);
    router.rpc(ExecutionService.method.getExecution, () => execution);
  },
});
const server = createServer(adapter);
server.listen(0, "127.0.0.1", () => console.log(`ready 127.0.0.1:${(server.address() as AddressInfo).port}`));
