// The server that connectconformance tests: the gateway's port with the conformance service.
// The first argument names the file of its protos. The runner's request comes by stdin, and the
// address goes out by stdout, each after its length.
import { readFileSync } from "node:fs";
import {
  create,
  createFileRegistry,
  type DescMessage,
  type DescService,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { readConfig } from "../../src/config.ts";
import { Fault } from "../../src/domain/faults.ts";
import { codes } from "../../src/rpc/faults.ts";
import { createBoundary } from "../../src/rpc/server/boundary.ts";
import { createCallMemory } from "../../src/rpc/server/call-memory.ts";
import { createOpenCalls } from "../../src/rpc/server/open-calls.ts";
import { createPort } from "../../src/rpc/server/port.ts";
import { createUnaryCalls } from "../../src/rpc/server/unary.ts";
import { createLogger } from "../../src/telemetry.ts";
import { conformanceMethods } from "./service.ts";

const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync(process.argv[2] as string)),
);
const packageName = "connectrpc.conformance.v1";
const service = registry.getService(`${packageName}.ConformanceService`) as DescService;
const requestType = registry.getMessage(`${packageName}.ServerCompatRequest`) as DescMessage;
const responseType = registry.getMessage(`${packageName}.ServerCompatResponse`) as DescMessage;

let read = Buffer.alloc(0);
for await (const part of process.stdin) {
  read = Buffer.concat([read, part]);
  if (read.length >= 4 && read.length >= 4 + read.readUInt32BE()) break;
}
const { messageReceiveLimit } = fromBinary(requestType, read.subarray(4)) as unknown as {
  messageReceiveLimit: number;
};
const maxBytes = messageReceiveLimit || 2 ** 22;

let calls = 0;
const log = createLogger("error");
const boundary = createBoundary(log);
const limits = readConfig({});
const memory = createCallMemory(limits);
const explain = (error: unknown) =>
  error instanceof Fault ? new ConnectError(error.message, codes[error.reason]) : ConnectError.from(error);
const unary = createUnaryCalls({
  maxBytes,
  explain,
  calls: createOpenCalls(boundary),
  memory,
  boundary,
  log,
});
const adapter = connectNodeAdapter({
  routes: unary.register((router) => void router.service(service, conformanceMethods(registry, service))),
  readMaxBytes: maxBytes,
});
const port = createPort({
  handle: adapter,
  tryAnswer: (stream, headers) => {
    const isAnswered = unary.tryAnswer(stream, headers);
    if (isAnswered) calls += 1;
    return isAnswered;
  },
  limits,
  boundary,
  log,
});
const message = toBinary(
  responseType,
  create(responseType, { host: "127.0.0.1", port: await port.listen("127.0.0.1", 0) } as never),
);
const length = Buffer.alloc(4);
length.writeUInt32BE(message.length);
process.stdout.write(Buffer.concat([length, message]));
process.on("SIGTERM", () => process.exit(0));
process.on("exit", () => console.error(`${calls} calls were answered without Connect`));
