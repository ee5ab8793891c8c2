import { connect, constants } from "node:http2";
import { mock } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import test from "ava";
import { ExecutionService } from "../../../src/gen/sigrun/v1/execution_service_pb.ts";
import { call, envelope, healthCheck, openCall, startListener } from "./_listener.ts";

// The gateway's timers are mocked; those inside Node are not.
mock.timers.enable({ apis: ["setTimeout"] });

const contentTypes = ["application/grpc", "application/grpc+proto;by=connect"];

async function untilTrue(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await turn();
}

for (const type of contentTypes) {
  test.serial(`a body that does not end is DEADLINE_EXCEEDED after a minute (${type})`, async (t) => {
    const { open } = await startListener(t);
    const session = open();
    const stream = openCall(session, healthCheck, { "content-type": type, "grpc-timeout": "1H" });
    let status: unknown;
    stream.on("trailers", (sent) => {
      status = sent["grpc-status"];
    });
    stream.resume().write(envelope(Buffer.alloc(100)).subarray(0, 50));
    // Calls of one connection arrive in order.
    await call(session, healthCheck);
    mock.timers.tick(59_000);
    await call(session, healthCheck);
    t.is(status, undefined);
    mock.timers.tick(1_000);
    // The time that a method has for its answer.
    mock.timers.tick(250);
    await untilTrue(() => status !== undefined);
    t.is(status, "4");
  });

  for (const bytes of [10_000, 3_000_000])
    test.serial(`an answer of ${bytes} bytes that nobody takes for a minute is cut (${type})`, async (t) => {
      const page = { executions: [{ id: "x".repeat(bytes) }] };
      const { url } = await startListener(t, {
        routes: (router) => router.rpc(ExecutionService.method.listExecutions, async () => page as never),
      });
      const session = connect(url, { settings: { initialWindowSize: 1_000 } }).on("error", () => {});
      t.teardown(() => session.destroy());
      const stream = openCall(session, "/sigrun.v1.ExecutionService/ListExecutions", {
        "content-type": type,
      });
      let isAnswered = false;
      stream.on("response", () => {
        isAnswered = true;
      });
      stream.pause().end(envelope(Buffer.alloc(0)));
      await untilTrue(() => isAnswered);
      await call(session, healthCheck);
      mock.timers.tick(59_000);
      await call(session, healthCheck);
      t.false(stream.closed);
      mock.timers.tick(1_000);
      await untilTrue(() => stream.closed);
      t.is(stream.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
}
