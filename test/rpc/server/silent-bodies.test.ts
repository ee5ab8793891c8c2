import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Health } from "../../../src/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection as V1 } from "../../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1Alpha } from "../../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { services } from "../../../src/rpc/router.ts";
import { shared, startScripted } from "../../_gateway.ts";
import { type Body, doors, envelope, maxMsOf } from "../../_raw-call.ts";

type Target = { url: string; session: ClientHttp2Session };

// One after the other, since each makes hundreds of calls at once.
const test = anyTest.serial as TestFn<Target>;
const file = shared(anyTest);
const methods = [...services, Health, V1, V1Alpha].flatMap((service) => service.methods);
const deadlineExceeded = 4;
const timeoutMs = 1_000;

test.before(async (t) => {
  const { gateway } = await startScripted(file);
  const session = connect(gateway.url).on("error", () => {});
  file.teardown(() => session.destroy());
  t.context = { url: gateway.url, session };
});

const half = envelope(new Uint8Array(9)).subarray(0, 6);
/** By what they do; `empty` is a whole request without fields. */
const bodies: Record<string, (empty: Uint8Array) => Body> = {
  "never comes": () => ({ bytes: new Uint8Array(), isWhole: false }),
  "stops in the middle": () => ({ bytes: half, isWhole: false }),
  trickles: () => ({ bytes: half.subarray(0, 4), isWhole: false, trickle: Uint8Array.of(200) }),
  "does not end after its message": (empty) => ({ bytes: empty, isWhole: false }),
};

/** Makes a call of every method at every door. */
const callAll = (t: ExecutionContext<Target>, bodyOf: (empty: Uint8Array) => Body, timeoutMs: number) =>
  Promise.all(
    doors.flatMap((door) =>
      methods
        .filter(({ methodKind }) => door.isDuplex || methodKind !== "bidi_streaming")
        .map(async ({ parent, name, methodKind }) => {
          const path = `/${parent.typeName}/${name}`;
          const isStream = methodKind !== "unary";
          const body = bodyOf(door.empty(isStream));
          const { code, ms } = await door.call(t.context, path, isStream, body, timeoutMs);
          return { call: `${door.name} ${path}`, code, ms };
        }),
    ),
  );

for (const [name, bodyOf] of Object.entries(bodies))
  test(`a call of any method whose body ${name} ends at its deadline`, async (t) => {
    const maxMs = maxMsOf(timeoutMs, await callAll(t, bodyOf, 1));
    const ended = await callAll(t, bodyOf, timeoutMs);
    t.true(ended.length > 5 * 50);
    const wrong = ended.filter(
      ({ code, ms }) => code !== deadlineExceeded || ms < timeoutMs - 50 || ms > maxMs,
    );
    t.deepEqual(wrong, [], `within ${maxMs} ms`);
  });

test("a peer whose body does not end loses its connection over HTTP/1.1, and its stream over HTTP/2", async (t) => {
  const { url, session } = t.context;
  const path = "/sigrun.v1.ProgramService/ListPrograms";
  const socket = connectTcp(Number(new URL(url).port), "127.0.0.1");
  const head = `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json`;
  socket.write(`${head}\r\nconnect-timeout-ms: 300\r\ncontent-length: 9\r\n\r\n{`);
  const parts: Buffer[] = [];
  socket.on("data", (part) => parts.push(part)).on("error", () => {});
  await once(socket, "close");
  t.regex(Buffer.concat(parts).toString(), /^HTTP\/1.1 504 .*deadline_exceeded/s);

  for (const more of [{}, { origin: "http://a" }]) {
    const headers = { "content-type": "application/grpc", te: "trailers", "grpc-timeout": "300m", ...more };
    const stream = session.request({ ":method": "POST", ":path": path, ...headers });
    stream.on("error", () => {}).resume();
    await once(stream, "close");
    t.is(stream.rstCode, 0);
  }
});
