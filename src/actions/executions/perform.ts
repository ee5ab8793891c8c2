import { type Execution, noTrace, type Trace } from "../../domain/execution.ts";
import { Fault, OutputInvalid, type Violation } from "../../domain/faults.ts";
import { programStep } from "../../domain/lifecycle.ts";
import type { Definition, LmSettings } from "../../domain/program/program.ts";
import type { Revision } from "../../domain/program/revision.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { CallLimits } from "../../dspy/channel.ts";
import type { ChunkEvent, Sidecar } from "../../dspy/client.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";
import type { Recorder } from "../../store/executions/recorder.ts";
import type { RunStart } from "../../store/executions/run.ts";
import type { RevisionStore } from "../../store/programs/revisions.ts";
import type { Logger } from "../../telemetry.ts";
import type { RecentPrograms } from "./program-cache.ts";
import { endedRecord, endOf, type Outcome } from "./record.ts";

/** A run that stands on record as running. */
export type Underway = {
  readonly start: RunStart;
  readonly revision: Revision;
  readonly lm: LmSettings;
  /** Told what the model writes, as it does; the model waits for it. */
  readonly onChunk: ((event: ChunkEvent) => Promise<void>) | undefined;
};

type Deps = {
  sidecar: Sidecar;
  recorder: Recorder;
  executions: ExecutionStore;
  revisions: RevisionStore;
  recent: RecentPrograms;
  schemas: SchemaCache;
  log: Logger;
};

/** Asks the sidecar, checks what the model answered, records the end, and gives the record. */
export function createPerform({ sidecar, recorder, executions, revisions, recent, schemas, log }: Deps) {
  return async function perform(run: Underway, limits: CallLimits): Promise<Execution> {
    const { start, revision } = run;
    const began = performance.now();
    const outcome = await ask(run, limits);
    const durationMs = Math.round(performance.now() - began);

    const end = endOf(start, outcome, durationMs);
    const isOurs = await recorder.end(end);
    await noteBuilt(start.project, revision, outcome);
    if ("fault" in outcome)
      log.warn({ execution: start.id, reason: end.errorReason, durationMs }, "an execution failed");
    if (!isOurs) return executions.get(start.project, start.id);
    const retryAfterMs = "fault" in outcome ? outcome.fault.retryAfterMs : undefined;
    return { ...endedRecord(start, end), ...(retryAfterMs !== undefined && { retryAfterMs }) };
  };

  /** The run's record stands; where this can't be written, the next run writes it. */
  async function noteBuilt(
    project: string,
    { programId, number, status }: Revision,
    outcome: Outcome,
  ): Promise<void> {
    const refusal =
      "fault" in outcome && outcome.fault.reason === "PROGRAM_INVALID" ? outcome.fault.message : "";
    const isNews = refusal !== "" || (!("fault" in outcome) && programStep("build").from.includes(status));
    if (!isNews) return;
    await revisions
      .setBuilt(project, programId, number, refusal)
      .then(() => recent.forget(project, programId))
      .catch((error: unknown) =>
        log.warn({ err: error, program: programId }, "the program's status could not be written"),
      );
  }

  async function ask({ start, revision, lm, onChunk }: Underway, limits: CallLimits): Promise<Outcome> {
    let trace = noTrace;
    const onTrace = (soFar: Trace) => {
      trace = soFar;
    };
    try {
      const { definition, dspyProgramId } = revision;
      const answer = await sidecar.run(
        { dspyProgramId, definition, inputs: start.inputs, lm },
        { onTrace, onChunk },
        limits,
      );
      trace = answer.trace;
      const checked = schemas.of(definition.signature).outputs.validate(answer.outputs);
      if (checked.ok) return { outputs: checked.values, trace: withAnswersOf(trace, new Set()) };
      return {
        fault: new OutputInvalid(checked.violations),
        trace: withAnswersOf(trace, makersOf(checked.violations, definition)),
      };
    } catch (error) {
      if (error instanceof Fault) {
        // What DSPy could not read is the last module's answer.
        const unread = error.reason === "OUTPUT_INVALID" ? trace.steps.at(-1)?.module : undefined;
        return { fault: error, trace: withAnswersOf(trace, new Set([unread])) };
      }
      log.error({ err: error, execution: start.id }, "a run failed in a way nobody foresaw");
      return { fault: new Fault("INTERNAL", "internal error"), trace };
    }
  }
}

/** The modules that made the outputs which do not fit; every one where that can't be told. */
function makersOf(
  violations: readonly Violation[],
  { outputs, modules }: Definition,
): ReadonlySet<string | undefined> {
  const wrong = new Set(violations.map(({ field }) => /^[^.[]*/.exec(field)?.[0]));
  const makers = outputs.filter(({ input }) => wrong.has(input)).map(({ module }) => module);
  return new Set(makers.length > 0 ? makers : modules.map(({ name }) => name));
}

/** Raw answers are kept only of those modules; of the others they say nothing new. */
function withAnswersOf(trace: Trace, modules: ReadonlySet<string | undefined>): Trace {
  return {
    ...trace,
    steps: trace.steps.map((step) => (modules.has(step.module) ? step : { ...step, rawAnswer: "" })),
  };
}
