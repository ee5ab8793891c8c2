import { type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import test from "ava";
import fc from "fast-check";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { ExecutionService } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { services } from "../../src/rpc/router.ts";
import { arbitraryMessage } from "../_arbitrary.ts";
import { startScripted } from "../_gateway.ts";

const runsOfEach = Number(process.env.SIGRUN_FUZZ_REQUESTS ?? 1_000) / 50;
/** Its stream never ends by itself. */
const watching = ExecutionService.method.watchExecutions;

test("no request of any method, with any numbers, durations, tokens and masks, is INTERNAL or UNKNOWN", async (t) => {
  t.timeout(180_000);
  const { gateway, model } = await startScripted(t, { SIGRUN_WORKERS: "1" });
  model.script({ fields: { answer: "here" } });
  await gateway.programs.createProgram({
    program: { name: "Target", signature: { name: "Target", text: "question -> answer" } },
  });
  const run = { programId: "target", inputs: { question: "?" } };
  const { execution } = await gateway.programs.executeProgram(run);
  const { nextPageToken } = await gateway.executions.listExecutions({ pageSize: 1, countTotal: true });
  const known = ["", "target", execution?.id ?? "", nextPageToken, "status", "Predict", "question -> answer"];

  for (const service of services)
    for (const method of service.methods) {
      const client = createClient(service as never, gateway.transport) as Record<string, CallableFunction>;
      async function ask(message: unknown): Promise<void> {
        const leave = new AbortController();
        try {
          const answer = client[method.localName]?.(message, { timeoutMs: 5_000, signal: leave.signal });
          if (method.methodKind === "server_streaming") {
            for await (const _ of answer) if ((method as unknown) === watching) break;
          } else await answer;
        } catch (error) {
          const fault = ConnectError.from(error);
          const { code, rawMessage } = fault;
          const reason = fault.findDetails(ErrorInfoSchema)[0]?.reason;
          const isWrong = code === Code.Internal || code === Code.Unknown;
          if (isWrong && reason !== "OUTPUT_INVALID") throw new Error(`${Code[code]}: ${rawMessage}`);
        } finally {
          leave.abort();
        }
      }
      const messages = arbitraryMessage(method.input, known).filter((message) =>
        isWritable(method.input, message),
      );
      const { failed, errorInstance } = await fc.check(fc.asyncProperty(messages, ask), {
        numRuns: method.input.fields.length === 0 ? 1 : runsOfEach,
        endOnFailure: true,
      });
      t.false(failed, `${method.name}: ${String(errorInstance)}`);
    }
  t.is(gateway.process.exitCode, null);
});

/** A client can't write a lone surrogate. */
function isWritable(type: DescMessage, message: Message): boolean {
  try {
    toBinary(type, message);
    return true;
  } catch {
    return false;
  }
}
