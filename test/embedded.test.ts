import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { ExecutionStatus } from "../src/gen/sigrun/v1/execution_service_pb.ts";
import { startGateway } from "./_gateway.ts";

test("without settings, a program runs on the embedded model and is recorded in the embedded PostgreSQL", async (t) => {
  t.timeout(120_000);
  const dataDir = mkdtempSync(join(tmpdir(), "sigrun-test-"));
  // Teardowns run in reverse order: this one runs after the gateway has ended.
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));
  const { programs, executions } = await startGateway(t, { SIGRUN_DATA_DIR: dataDir });

  const signature = {
    name: "ComplexSignature",
    text: "question, context -> answer, confidence: float, sources: list[str]",
  };
  const { program } = await programs.createProgram({ program: { name: "Complex QA Program", signature } });
  const inputs = { question: "What is the capital of France?", context: "Paris is the capital of France." };
  const { outputs, execution } = await programs.executeProgram(
    { programId: program?.handle ?? "", inputs },
    { timeoutMs: 60_000 },
  );

  t.is(typeof outputs?.answer, "string");
  t.is(typeof outputs?.confidence, "number");
  t.true(Array.isArray(outputs?.sources));
  const read = await executions.getExecution({ id: execution?.id ?? "" });
  t.is(read.execution?.status, ExecutionStatus.COMPLETED);
  t.is(read.execution?.model, "embedded/smollm2");
  t.deepEqual(read.execution?.outputs, outputs);
  t.true((read.execution?.tokenUsage?.outputTokens ?? 0n) > 0n);
  t.true((read.execution?.durationMs ?? 0n) > 0n);
});
