import anyTest, { type TestFn } from "ava";
import { ExecutionStatus } from "../src/gen/sigrun/v1/execution_service_pb.ts";
import { ProgramStatus } from "../src/gen/sigrun/v1/program_service_pb.ts";
import { type Gateway, shared, startScripted } from "./_gateway.ts";

// The four tests that the requirements name, under their names.

const test = anyTest as TestFn<Gateway>;
const signature = {
  name: "ComplexSignature",
  text: "question, context -> answer, confidence: float, sources: list[str]",
};

const file = shared(test);
test.before(async (t) => {
  t.context = (await startScripted(file)).gateway;
});

test("program creation with custom data layer", async (t) => {
  const { program } = await t.context.programs.createProgram({
    program: { name: "Complex QA Program", signature },
  });
  t.is(program?.name, "Complex QA Program");
  t.is(program?.status, ProgramStatus.DRAFT);
  t.regex(program?.signatureId ?? "", /^[0-9a-f-]{36}$/);
});

test("program execution through custom data layer", async (t) => {
  const { program } = await t.context.programs.createProgram({
    program: { name: "Test Program", signature },
  });
  const inputs = { question: "What is machine learning?", context: "Machine learning is a branch of AI..." };
  const { outputs } = await t.context.programs.executeProgram({ programId: program?.id ?? "", inputs });
  t.deepEqual(Object.keys(outputs ?? {}).sort(), ["answer", "confidence", "sources"]);
});

test("signature validation with ExDantic", async (t) => {
  await t.context.signatures.createSignature({ signature });
  const key = { case: "name", value: "ComplexSignature" } as const;
  const valid = await t.context.signatures.validateInputs({
    key,
    values: { question: "test", context: "test context" },
  });
  t.deepEqual(valid.values, { question: "test", context: "test context" });
  const coerced = await t.context.signatures.validateInputs({
    key,
    values: { question: 123, context: "test" },
  });
  t.is(coerced.values?.question, "123");
});

test("execution tracking", async (t) => {
  const { program } = await t.context.programs.createProgram({
    program: { name: "Tracking Test", signature },
  });
  const started = await t.context.executions.startExecution({
    programId: program?.id ?? "",
    inputs: { question: "test", context: "test" },
  });
  t.is(started.execution?.status, ExecutionStatus.RUNNING);
  t.is(started.execution?.programId, program?.id);
  t.truthy(started.execution?.startedAt);

  const outputs = { answer: "test answer", confidence: 0.8, sources: [] };
  const completed = await t.context.executions.completeExecution({
    id: started.execution?.id ?? "",
    outputs,
    durationMs: 150n,
  });
  t.is(completed.execution?.status, ExecutionStatus.COMPLETED);
  t.is(completed.execution?.durationMs, 150n);
});
