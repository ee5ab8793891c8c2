import { once } from "node:events";
import { connect, constants } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import test from "ava";
import { ExecutionService } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import {
  ExecuteProgramRequestSchema,
  ProgramService,
} from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { until } from "../../_wait.ts";
import { call, envelope, healthCheck, openCall, startListener } from "./_listener.ts";

const MiB = 2 ** 20;
const executeProgram = "/sigrun.v1.ProgramService/ExecuteProgram";
const listExecutions = "/sigrun.v1.ExecutionService/ListExecutions";
const watchExecutions = "/sigrun.v1.ExecutionService/WatchExecutions";
/** Unary.ts answers the first type; Connect answers the second. */
const contentTypes = ["application/grpc", "application/grpc+proto;by=connect"];

/** A run with an input of this length. */
const longMessage = (bytes: number) =>
  toBinary(
    ExecuteProgramRequestSchema,
    create(ExecuteProgramRequestSchema, { programId: "p", inputs: { text: "x".repeat(bytes) } }),
  );

/** Requests that stay under way until `finish`. */
function waitingRoutes() {
  let finish = () => {};
  let waiting = 0;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const routes = (router: ConnectRouter) =>
    router.rpc(ProgramService.method.executeProgram, async () => {
      waiting += 1;
      await finished;
      return {};
    });
  return {
    routes: (router: ConnectRouter) => void routes(router),
    finish: () => finish(),
    waiting: () => waiting,
  };
}

for (const type of contentTypes) {
  test(`small gzip that unpacks to 4 MB many times at once is refused beyond the memory (${type})`, async (t) => {
    const { routes, finish, waiting } = waitingRoutes();
    const { open } = await startListener(t, { routes, limits: { requestMemory: 40 * MiB } });
    const session = open();
    const packed = envelope(gzipSync(longMessage(4_000_000)), 1);
    const headers = { "content-type": type, "grpc-encoding": "gzip" };
    const calls = Array.from({ length: 20 }, () => call(session, executeProgram, packed, headers));
    const refused = (await Promise.all([...calls.slice(6)])).filter(({ status }) => status === "8");
    t.true(refused.length >= 14, `${refused.length} were refused`);
    t.regex(String(refused[0]?.trailers["grpc-message"]), /SIGRUN_REQUEST_MEMORY/);
    t.true(waiting() > 0 && waiting() <= 5, `${waiting()} are under way`);
    const other = call(open(), executeProgram, packed, headers);
    await until(() => waiting() > 5);
    finish();
    t.is((await other).status, "0");
    t.deepEqual(new Set((await Promise.all(calls)).map(({ status }) => status)), new Set(["0", "8"]));
    t.is((await call(session, executeProgram, packed, headers)).status, "0");
  });

  test(`bodies that do not end hold no more than the memory, which comes back (${type})`, async (t) => {
    const { open } = await startListener(t, {
      limits: { requestMemory: 20 * MiB },
      routes: (router) => router.rpc(ProgramService.method.executeProgram, async () => ({})),
    });
    const session = open();
    const headers = { "content-type": type };
    const partial = envelope(longMessage(4_000_000)).subarray(0, 3_900_000);
    const streams = [1, 2, 3].map(() => openCall(session, executeProgram, headers));
    for (const stream of streams) stream.write(partial);
    const trailers = streams.map((stream) => once(stream, "trailers").then(([sent]) => sent["grpc-status"]));
    t.is(await Promise.race(trailers), "8");
    t.is((await call(open(), healthCheck)).status, "0");
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    for (const settled of trailers) settled.catch(() => {});
    const whole = envelope(longMessage(4_000_000));
    await until(async () => (await call(session, executeProgram, whole, headers)).status === "0");
    t.pass();
  });

  test(`answers that nobody reads hold no more than the memory, which comes back (${type})`, async (t) => {
    const page = { executions: [{ id: "x".repeat(3_000_000) }] };
    const { url, open } = await startListener(t, {
      limits: { answerMemory: 20 * MiB },
      routes: (router) => router.rpc(ExecutionService.method.listExecutions, async () => page as never),
    });
    const session = connect(url, { settings: { initialWindowSize: 1_000 } }).on("error", () => {});
    t.teardown(() => session.destroy());
    const headers = { "content-type": type };
    const statuses: unknown[] = [];
    const streams = Array.from({ length: 10 }, () => {
      const stream = openCall(session, listExecutions, headers).pause();
      stream.on("trailers", (sent) => statuses.push(sent["grpc-status"]));
      stream.end(envelope(Buffer.alloc(0)));
      return stream;
    });
    await until(() => statuses.length === 7);
    t.deepEqual(new Set(statuses), new Set(["8"]));
    t.is((await call(open(), listExecutions, undefined, headers)).status, "0");
    for (const stream of streams) stream.resume();
    await Promise.all(streams.map((stream) => stream.closed || once(stream, "close")));
    t.deepEqual(statuses.filter((status) => status === "0").length, 3);
    t.is((await call(session, listExecutions, undefined, headers)).status, "0");
  });
}

test("streams that nobody reads are cut with ENHANCE_YOUR_CALM beyond the memory", async (t) => {
  const { url } = await startListener(t, {
    limits: { answerMemory: 20 * MiB },
    routes: (router) =>
      router.rpc(ExecutionService.method.watchExecutions, async function* () {
        for (;;) yield { event: { case: "execution", value: { id: "x".repeat(3_000_000) } } } as never;
      }),
  });
  const session = connect(url, { settings: { initialWindowSize: 1_000 } }).on("error", () => {});
  t.teardown(() => session.destroy());
  const streams = Array.from({ length: 6 }, () => {
    const stream = openCall(session, watchExecutions).pause();
    stream.end(envelope(Buffer.alloc(0)));
    return stream;
  });
  await until(() => streams.filter(({ closed }) => closed).length === 3);
  for (const { rstCode } of streams.filter(({ closed }) => closed))
    t.is(rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
});
