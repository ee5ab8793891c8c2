import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import test from "ava";
import {
  ExecuteProgramRequestSchema,
  type ExecuteProgramResponse,
  ExecuteProgramResponseSchema,
} from "../../src/gen/sigrun/v1/program_service_pb.ts";
import { type Gateway, prepareScripted, startGateway } from "../_gateway.ts";
import { startProxy } from "../_proxy.ts";

const callers = 8;
const callsBetween = 40;
const portOf = ({ url }: Gateway) => Number(new URL(url).port);

/** Calls ExecuteProgram as an ordinary gRPC client does, without retries of the caller's own. */
function createExecute(client: Client, programId: string): () => Promise<ExecuteProgramResponse> {
  const request = create(ExecuteProgramRequestSchema, { programId, inputs: { question: "?" } });
  return () =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        "/sigrun.v1.ProgramService/ExecuteProgram",
        (message) => Buffer.from(toBinary(ExecuteProgramRequestSchema, message)),
        (bytes) => fromBinary(ExecuteProgramResponseSchema, bytes),
        request,
        { deadline: Date.now() + 60_000 },
        (error, answer) => (error ? reject(error) : resolve(answer as ExecuteProgramResponse)),
      );
    });
}

test("a rolling restart refuses no first try: each gateway comes before the one that it replaces goes", async (t) => {
  const { model, env } = await prepareScripted(t);
  model.script({ fields: { answer: "Paris" } });
  const common = { ...env, SIGRUN_DATABASE_SCHEMA: "rolling" };
  let current = await startGateway(t, common);
  const { program } = await current.programs.createProgram({
    program: { name: "Capital", signature: { text: "question -> answer" } },
  });
  const balancer = await startProxy(portOf(current));
  t.teardown(balancer.close);

  let answered = 0;
  let isOver = false;
  let afterEach = () => {};
  const calling = Promise.all(
    Array.from({ length: callers }, async () => {
      // A connection of its own, as each pod of a caller has.
      const options = { "grpc.use_local_subchannel_pool": 1 };
      const client = new Client(`127.0.0.1:${balancer.port}`, credentials.createInsecure(), options);
      t.teardown(() => client.close());
      const execute = createExecute(client, program?.id ?? "");
      for (; !isOver; answered++) {
        t.deepEqual((await execute()).outputs, { answer: "Paris" });
        afterEach();
      }
    }),
  );
  const answers = (more: number) => {
    const end = answered + more;
    return Promise.race([
      calling,
      new Promise<void>((done) => (afterEach = () => answered >= end && done())),
    ]);
  };

  await answers(callsBetween);
  for (let restart = 0; restart < 2; restart++) {
    const next = await startGateway(t, common);
    balancer.lead(portOf(next));
    const stopping = current.process;
    stopping.kill("SIGTERM");
    await answers(callsBetween);
    t.is(
      await new Promise((resolve) =>
        stopping.exitCode === null ? stopping.once("exit", resolve) : resolve(stopping.exitCode),
      ),
      0,
    );
    current = next;
  }
  await answers(callsBetween);
  isOver = true;
  await calling;
  const { executions } = await current.executions.listExecutions({ filter: "status != COMPLETED" });
  t.deepEqual(executions, []);
  t.true(answered > 4 * callsBetween);
});
