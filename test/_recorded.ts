import type { Gateway } from "./_gateway.ts";

type Recorded = { inputs: { question: string }; outputs?: object; labels?: Record<string, string> };

/** Records an external run. */
export async function record(
  { executions }: Gateway,
  programId: string,
  { inputs, outputs, labels = {} }: Recorded,
): Promise<string> {
  const { execution } = await executions.startExecution({ programId, inputs, labels });
  const id = execution?.id ?? "";
  if (outputs) await executions.completeExecution({ id, outputs: outputs as never, durationMs: 1500n });
  return id;
}

/** Creates a program with a question as input, and optional confidence and sources as outputs. */
export async function createProgram({ programs }: Gateway, name: string): Promise<string> {
  const text = "question -> answer, confidence: Optional[float], sources: Optional[list[str]]";
  const { program } = await programs.createProgram({
    program: { name, signature: { text, name: `Asks${name}` } },
  });
  return program?.id ?? "";
}
