import { annotationsOf } from "../../domain/annotations.ts";
import type { Execution } from "../../domain/execution.ts";
import { hasSideEffects } from "../../domain/program/side-effects.ts";
import type { RequestKey } from "../../domain/request.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { Recorder } from "../../store/executions/recorder.ts";
import type { RunStart } from "../../store/executions/run.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { InFlightRuns } from "./in-flight.ts";
import type { RecordedRun } from "./run-and-record-end.ts";
import type { RunCaller } from "./run-request.ts";

type Deps = {
  programs: ProgramStore;
  recorder: Recorder;
  sidecar: Sidecar;
  inFlight: InFlightRuns<Execution>;
};

/**
 * Starts a further attempt of a failed run under its own record, unless the program has effects
 * that could happen twice, or another call was first.
 */
export type Restart = (
  project: string,
  key: RequestKey,
  failed: Execution,
  caller: RunCaller,
) => Promise<RecordedRun | "has effects" | "another was first">;

export function createRestart({ programs, recorder, sidecar, inFlight }: Deps): Restart {
  return async function restart(project, key, failed, { signal }) {
    const { id, programId, revision: number, attempt, inputs, model, tokenUsage } = failed;
    const { revision } = await programs.getRevision(project, programId, number);
    if (hasSideEffects(revision.definition)) return "has effects";
    // The attempt before may still run here, if another gateway took this one for dead.
    await inFlight.join(id, signal);
    await sidecar.ready(signal);
    const start: RunStart = {
      project,
      id,
      attempt: attempt + 1,
      earlierUsage: tokenUsage,
      programId,
      revision: number,
      mustBeCurrent: false,
      inputs,
      ...annotationsOf(failed),
      model,
      request: key,
      startedAt: new Date(),
    };
    return (await recorder.restart(start)) ? { start, revision } : "another was first";
  };
}
