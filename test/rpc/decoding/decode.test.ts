import assert from "node:assert/strict";
import { create, fromBinary, fromJson, type JsonObject, toBinary, toJson } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import test from "ava";
import fc from "fast-check";
import { Invalid } from "../../../src/domain/faults.ts";
import { ExecuteProgramRequestSchema } from "../../../src/gen/sigrun/v1/program_service_pb.ts";
import { decodeLarge } from "../../../src/rpc/decoding/decode.ts";
import { services } from "../../../src/rpc/router.ts";
import { createHostility, createRandom, hostileMessage } from "../../_fuzz.ts";

const inputs = services.flatMap(({ methods }) => methods.map(({ input }) => input));

test("a large message is read as protobuf-es reads it, of every method, in both formats", async (t) => {
  const random = createRandom(3);
  const hostility = createHostility(random, ["target"]);
  let compared = 0;
  for (let round = 0; round < 40; round++)
    for (const type of inputs) {
      const message = hostileMessage(type, random, hostility);
      const read = (make: () => unknown) => {
        try {
          return make();
        } catch {
          return undefined;
        }
      };
      const bytes = read(() => toBinary(type, message)) as Uint8Array | undefined;
      const expected = bytes && read(() => fromBinary(type, bytes));
      if (bytes && expected) {
        t.deepEqual(await decodeLarge(type, bytes, "binary"), expected as never, type.typeName);
        compared += 1;
      }
      const json = read(() => toJson(type, message)) as JsonObject | undefined;
      const text = Buffer.from(JSON.stringify(json) ?? "");
      const fromText = json && read(() => fromJson(type, JSON.parse(text.toString())));
      if (!fromText) continue;
      t.deepEqual(await decodeLarge(type, text, "JSON"), fromText as never, type.typeName);
      compared += 1;
    }
  t.true(compared > 1_000, `${compared} compared`);
});

test("broken bytes are refused, as protobuf-es refuses them", async (t) => {
  const valid = toBinary(
    ExecuteProgramRequestSchema,
    create(ExecuteProgramRequestSchema, {
      programId: "qa",
      inputs: { a: [1, "x", { b: null }], c: true },
      labels: { team: "ads" },
      lm: { params: { top_p: 0.5 } },
    }),
  );
  const bytes = fc
    .tuple(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 }), fc.nat(valid.length))
    .map(([flips, length]) => {
      const broken = Uint8Array.from(valid);
      for (const [at, byte] of flips) broken[at] = byte;
      return broken.subarray(0, length);
    });
  await fc.assert(
    fc.asyncProperty(bytes, async (broken) => {
      let expected: unknown;
      try {
        expected = fromBinary(ExecuteProgramRequestSchema, broken);
      } catch {
        expected = undefined;
      }
      // protobuf-es also takes a part that ends beyond its message, which is refused here.
      const read = await decodeLarge(ExecuteProgramRequestSchema, broken, "binary").catch((error) => {
        assert(error instanceof Invalid || error instanceof ConnectError, String(error));
      });
      assert(read === undefined || expected !== undefined, "protobuf-es refuses it");
    }),
    { numRuns: 5_000 },
  );
  t.pass();
});

const json = (inputs: string) => Buffer.from(`{"programId":"qa","inputs":${inputs}}`);
const many = (count: number, one: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => one(index)).join(",");

for (const [what, text, told] of [
  ["an object of 5,001 members", `{${many(5_001, (n) => `"k${n}":1`)}}`, "5000 members in one object"],
  ["50,001 empty objects", `{"l":[${many(50_001, () => "{}")}]}`, "50000 objects, lists and members"],
  ["100,002 elements", `{"l":[${many(100_002, () => "0")}]}`, "100000 elements"],
] as const)
  test(`refuses ${what} with its field, in both formats`, async (t) => {
    const faults = [decodeLarge(ExecuteProgramRequestSchema, json(text), "JSON")];
    const message = create(ExecuteProgramRequestSchema, { inputs: JSON.parse(text) });
    faults.push(
      decodeLarge(ExecuteProgramRequestSchema, toBinary(ExecuteProgramRequestSchema, message), "binary"),
    );
    for (const fault of faults) {
      const { violations } = (await t.throwsAsync(fault, { instanceOf: Invalid })) as Invalid;
      t.is(violations[0]?.field, "inputs");
      t.true(violations[0]?.description.includes(told), violations[0]?.description);
    }
  });
