import type { DescMessage } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import test from "ava";
import { codePoints, isLonger } from "../../src/domain/bounds.ts";
import { Invalid } from "../../src/domain/faults.ts";
import {
  BatchExecuteProgramRequestSchema,
  CreateProgramRequestSchema,
} from "../../src/gen/sigrun/v1/program_service_pb.ts";
import { checkBounds, fieldBounds } from "../../src/rpc/bounds.ts";
import { services } from "../../src/rpc/router.ts";

const inputs = services.flatMap(({ methods }) => methods.map(({ input }) => input));

test("every text of every request has a bound", (t) => {
  const seen = new Set<DescMessage>();
  const walk = (type: DescMessage) => {
    if (seen.has(type) || (type.typeName.startsWith("google.protobuf.") && type.name !== "FieldMask")) return;
    seen.add(type);
    for (const field of type.fields) {
      t.notThrows(() => fieldBounds(field), `${field}`);
      if ("message" in field && field.message) walk(field.message);
    }
  };
  for (const type of inputs) walk(type);
  t.true(seen.size > 40);
});

function paths(
  t: { throws: (work: () => void, expected: object) => unknown },
  type: DescMessage,
  init: object,
) {
  const fault = t.throws(() => checkBounds(type, create(type, init as never)), {
    instanceOf: Invalid,
  }) as Invalid;
  return fault.violations.map(({ field, description }) => `${field} ${description}`).sort();
}

test("a text or a list beyond its bound is refused with its path", (t) => {
  const long = "x".repeat(201);
  t.deepEqual(
    paths(t, CreateProgramRequestSchema, {
      requestId: long,
      program: { etag: long, modules: [{}, { inputFrom: { a: long }, tools: ["a", long] }] },
    }),
    [
      "program.etag must have at most 128 characters",
      "program.modules[1].input_from.a must have at most 200 characters",
      "program.modules[1].tools[1] must have at most 200 characters",
      "request_id must have at most 128 characters",
    ],
  );
  t.deepEqual(paths(t, BatchExecuteProgramRequestSchema, { items: Array(10_001).fill({}) }), [
    "items must have at most 10000 elements",
  ]);
  t.notThrows(() =>
    checkBounds(BatchExecuteProgramRequestSchema, create(BatchExecuteProgramRequestSchema, { items: [{}] })),
  );
});

test("code points are counted as a string's iterator counts them", (t) => {
  for (const text of ["", "a", "😀", "a😀b", "\ud83d", "\ude00😀", "\ud83d\ud83d\ude00"])
    t.is(codePoints(text), [...text].length);
  t.false(isLonger("😀😀", 2));
  t.true(isLonger("😀😀😀", 2));
  t.true(isLonger("x".repeat(4_000_000), 200));
});
