import test from "ava";
import { Health } from "../../src/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection as V1 } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1Alpha } from "../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { defaultTimeoutOf } from "../../src/rpc/caller.ts";
import { services } from "../../src/rpc/router.ts";

const methods = [...services, Health, V1, V1Alpha].flatMap((service) => service.methods);
const namesWith = (timeoutMs: number) =>
  methods.filter((method) => defaultTimeoutOf(method) === timeoutMs).map(({ name }) => name);

test("methods that build a program have 10 s, runs 30 s, an evaluation 300 s, and a batch an hour", (t) => {
  t.deepEqual(namesWith(10_000).sort(), [
    "CompileProgram",
    "CreateProgram",
    "ExportProgram",
    "ImportProgramState",
    "OptimizeProgram",
    "UpdateProgram",
  ]);
  t.deepEqual(namesWith(30_000).sort(), ["ExecuteProgram", "StreamProgram"]);
  t.deepEqual(namesWith(300_000), ["EvaluateProgram"]);
  t.deepEqual(namesWith(3_600_000), ["BatchExecuteProgram"]);
});

test("only watches have no default deadline, and all other methods have 5 s", (t) => {
  const watches = methods.filter(
    ({ name, methodKind }) => methodKind === "bidi_streaming" || /^Watch/.test(name),
  );
  t.deepEqual(
    namesWith(Number.POSITIVE_INFINITY),
    watches.map(({ name }) => name),
  );
  const known = [10_000, 30_000, 300_000, 3_600_000, Number.POSITIVE_INFINITY].flatMap(namesWith).length;
  t.is(namesWith(5_000).length, methods.length - known);
});
