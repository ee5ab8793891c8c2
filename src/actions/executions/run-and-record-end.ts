import { type Execution, noTrace, type Trace } from "../../domain/execution.ts";
import { Fault, OutputInvalid, type Violation } from "../../domain/faults.ts";
import { programStep } from "../../domain/lifecycle.ts";
import type { Definition, LmSettings } from "../../domain/program/program.ts";
import type { Revision } from "../../domain/program/revision.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { ChunkEvent, Sidecar } from "../../dspy/client.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";
import type { Recorder } from "../../store/executions/recorder.ts";
import type { RunStart } from "../../store/executions/run.ts";
import type { RevisionStore } from "../../store/programs/revisions.ts";
import type { Logger } from "../../telemetry.ts";
import type { ProgramCache } from "./program-cache.ts";
import { endedRecord, endOf, type Outcome } from "./record.ts";

/** A run that is on record as running. */
export type RecordedRun = { readonly start: RunStart; readonly revision: Revision };

type RunSettings = {
  readonly lm: LmSettings;
  readonly deadline: number;
  /** Gets what the model writes; the model's stream is paused until the promise resolves. */
  readonly onChunk: ((event: ChunkEvent) => Promise<void>) | undefined;
};

type Deps = {
  sidecar: Sidecar;
  recorder: Recorder;
  executions: ExecutionStore;
  revisions: RevisionStore;
  programCache: ProgramCache;
  schemas: SchemaCache;
  log: Logger;
};

/**
 * Runs a recorded run in the sidecar, checks the outputs, commits the end, and gives the record.
 */
export function createRunAndRecordEnd({
  sidecar,
  recorder,
  executions,
  revisions,
  programCache,
  schemas,
  log,
}: Deps) {
  return async function runAndRecordEnd(
    run: RecordedRun & RunSettings,
    signal: AbortSignal,
  ): Promise<Execution> {
    const { start, revision } = run;
    const startedAt = performance.now();
    const outcome = await runInSidecar(run, signal);
    const durationMs = Math.round(performance.now() - startedAt);

    const end = await recorder.end(endOf(start, outcome, durationMs));
    await updateBuildStatus(start.project, revision, outcome);
    if ("fault" in outcome)
      log.warn({ execution: start.id, reason: outcome.fault.reason, durationMs }, "an execution failed");
    // The run was swept or cancelled meanwhile, so another end is on record.
    if (!end) return executions.get(start.project, start.id);
    const retryAfterMs = "fault" in outcome ? outcome.fault.retryAfterMs : undefined;
    return { ...endedRecord(start, end), ...(retryAfterMs !== undefined && { retryAfterMs }) };
  };

  /** A failure here does not fail the run, which is on record: the next run tries again. */
  async function updateBuildStatus(
    project: string,
    { programId, number, status }: Revision,
    outcome: Outcome,
  ): Promise<void> {
    const refusal =
      "fault" in outcome && outcome.fault.reason === "PROGRAM_INVALID" ? outcome.fault.message : "";
    const isChanged = refusal !== "" || (!("fault" in outcome) && programStep("build").from.includes(status));
    if (!isChanged) return;
    await revisions
      .setBuilt(project, programId, number, refusal)
      .then(() => programCache.delete(project, programId))
      .catch((error: unknown) =>
        log.warn(
          { err: error, program: programId },
          "failed to write the status of a program; its next run tries again",
        ),
      );
  }

  async function runInSidecar(
    { start, revision, lm, deadline, onChunk }: RecordedRun & RunSettings,
    signal: AbortSignal,
  ): Promise<Outcome> {
    let trace = noTrace;
    const onTrace = (soFar: Trace) => {
      trace = soFar;
    };
    try {
      const { definition, dspyProgramId } = revision;
      const answer = await sidecar.run(
        { dspyProgramId, definition, inputs: start.inputs, lm, deadline },
        { onTrace, onChunk },
        signal,
      );
      trace = answer.trace;
      const checked = schemas.of(definition.signature).outputs.validate(answer.outputs);
      if (checked.ok) return { outputs: checked.values, trace: keepAnswersOf(trace, new Set()) };
      return {
        fault: new OutputInvalid(checked.violations),
        trace: keepAnswersOf(trace, makersOf(checked.violations, definition)),
      };
    } catch (error) {
      if (error instanceof Fault) {
        // DSPy could not parse the answer of the last module, or the answer was cut off.
        const isUnparsed = error.reason === "OUTPUT_INVALID" || error.reason === "OUTPUT_TRUNCATED";
        const unparsed = isUnparsed ? trace.steps.at(-1)?.module : undefined;
        return { fault: error, trace: keepAnswersOf(trace, new Set([unparsed])) };
      }
      log.error({ err: error, execution: start.id }, "an execution failed with an unexpected error");
      return { fault: new Fault("INTERNAL", "internal error"), trace };
    }
  }
}

/** The modules that made the invalid outputs; all modules if no output names its module. */
function makersOf(
  violations: readonly Violation[],
  { outputs, modules }: Definition,
): ReadonlySet<string | undefined> {
  const wrong = new Set(violations.map(({ field }) => /^[^.[]*/.exec(field)?.[0]));
  const makers = outputs.filter(({ input }) => wrong.has(input)).map(({ module }) => module);
  return new Set(makers.length > 0 ? makers : modules.map(({ name }) => name));
}

/** Drops the raw answers of all other modules: their outputs say the same. */
function keepAnswersOf(trace: Trace, modules: ReadonlySet<string | undefined>): Trace {
  return {
    ...trace,
    steps: trace.steps.map((step) => (modules.has(step.module) ? step : { ...step, rawAnswer: "" })),
  };
}
