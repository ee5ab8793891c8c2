import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import test from "ava";
import { HealthCheckRequestSchema } from "../../../src/gen/grpc/health/v1/health_pb.ts";
import { until } from "../../_wait.ts";
import { call, envelope, healthCheck, healthWatch, openCall, startListener } from "./_listener.ts";

test("headers that are too large or too many get ENHANCE_YOUR_CALM or 431, and the connection stays", async (t) => {
  const { port, open } = await startListener(t);
  const session = open();
  // A client's first call may come before it knows the maximum, and has 64 KB.
  await call(session, healthCheck);
  const large = { big: "x".repeat(33_000) };
  const many = Object.fromEntries(Array.from({ length: 130 }, (_, n) => [`header-${n}`, "x"]));
  for (const headers of [large, many]) {
    t.is((await call(session, healthCheck, undefined, headers)).rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    const status = await new Promise((resolve) => {
      const sent = httpRequest({ port, host: "127.0.0.1", headers }, (response) =>
        resolve(response.resume().statusCode),
      );
      sent.end();
    });
    t.is(status, 431);
  }
  t.is((await call(session, healthCheck)).status, "0");
});

test("a connection has 1,000 calls at once, and 100 streams of health and reflection", async (t) => {
  const { open } = await startListener(t);
  const [session, other] = [open(), open()];
  const watch = (on = session) => {
    const stream = openCall(on, healthWatch);
    stream.end(envelope(Buffer.alloc(0)));
    return stream;
  };
  const watches = Array.from({ length: 100 }, () => watch());
  await Promise.all(watches.map((stream) => once(stream, "data")));
  t.is(session.remoteSettings.maxConcurrentStreams, 1_000);
  t.is((await call(session, healthWatch)).status, "8");
  const long = toBinary(
    HealthCheckRequestSchema,
    create(HealthCheckRequestSchema, { service: "x".repeat(20_000) }),
  );
  const info = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  t.is((await call(session, info)).status, "8");
  await once(watch(other), "data");
  watches[0]?.close(constants.NGHTTP2_CANCEL);
  await until(async () => (await call(session, info)).status === "0");
  t.is((await call(other, info, envelope(long))).status, "8");
});
