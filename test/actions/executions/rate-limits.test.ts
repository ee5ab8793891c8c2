import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import anyTest, { type TestFn } from "ava";
import { RetryInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.ts";
import { ProgramService } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { failure } from "../../_errors.ts";
import { type Gateway, shared, startScripted } from "../../_gateway.ts";
import type { ScriptedModel } from "../../_model.ts";

type Shared = { gateway: Gateway; model: ScriptedModel; programId: string };
const test = anyTest.serial as TestFn<Shared>;
const file = shared(anyTest);
const inputs = { question: "?" };
const slowDown = (retryAfter: string) => ({
  status: 429,
  error: { message: "slow down" },
  headers: { "retry-after": retryAfter },
});

test.before(async (t) => {
  const { gateway, model } = await startScripted(file);
  const { program } = await gateway.programs.createProgram({
    program: { name: "Capital", signature: { text: "question -> answer" } },
  });
  t.context = { gateway, model, programId: program?.id ?? "" };
});

const calls = {
  "a run": ({ programId }: Shared, programs: Client<typeof ProgramService>) =>
    programs.executeProgram({ programId, inputs }),
  "a stream": async ({ programId }: Shared, programs: Client<typeof ProgramService>) => {
    for await (const _ of programs.streamProgram({ programId, inputs }));
  },
};

for (const [name, call] of Object.entries(calls))
  test(`a rate limit beyond the deadline ends ${name} at once, with the time of the retry`, async (t) => {
    const { gateway, model } = t.context;
    for (const [retryAfter, seconds] of [
      ["60", 60],
      ["1e300", 86_400],
    ] as const) {
      model.script(slowDown(retryAfter));
      const before = model.requests.length;
      const error = (await t.throwsAsync(call(t.context, gateway.programs))) as ConnectError;
      t.is(error.code, Code.ResourceExhausted);
      t.is((await failure(t, Promise.reject(error))).reason, "LM_RATE_LIMITED");
      t.is(Number(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds), seconds);
      t.is(error.metadata.get("grpc-retry-pushback-ms"), String(seconds * 1000));
      t.is(model.requests.length, before + 1);
    }
  });

test("over HTTP, the time of the retry is in the header retry-after", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script(slowDown("60"));
  const response = await fetch(`${gateway.url}/${ProgramService.typeName}/ExecuteProgram`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ programId, inputs }),
  });
  t.is(response.status, 429);
  t.is(response.headers.get("retry-after"), "60");
  t.regex(await response.text(), /LM_RATE_LIMITED/);
  const connect = createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1" });
  const error = await t.throwsAsync(calls["a stream"](t.context, createClient(ProgramService, connect)));
  t.is(ConnectError.from(error).metadata.get("retry-after"), "60");
});

test("a rate limit within the deadline is waited for", async (t) => {
  const { gateway, model, programId } = t.context;
  model.script(slowDown("1"), { fields: { answer: "Paris" } });
  const { outputs, execution } = await gateway.programs.executeProgram({ programId, inputs });
  t.deepEqual(outputs, { answer: "Paris" });
  t.is(Number(execution?.tokenUsage?.lmCalls), 1);
});
