import { v7 as uuidv7 } from "uuid";
import { annotationsOf, checkAnnotations } from "../../domain/annotations.ts";
import { type Execution, noTokens } from "../../domain/execution.ts";
import { Invalid } from "../../domain/faults.ts";
import { canRestart } from "../../domain/lifecycle.ts";
import { checkLm } from "../../domain/program/lm.ts";
import { checkTakenByRun } from "../../domain/program/reasoning-models.ts";
import { type RequestKey, requestKey } from "../../domain/request.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import { createViolations } from "../../domain/violations.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { Recorder } from "../../store/executions/recorder.ts";
import type { RunStart } from "../../store/executions/run.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { InFlightRuns } from "./in-flight.ts";
import { checkInputs } from "./inputs.ts";
import type { ProgramCache, ProgramRevision } from "./program-cache.ts";
import { runningRecord } from "./record.ts";
import type { Replay } from "./replay.ts";
import type { Restart } from "./restart.ts";
import type { createRunAndRecordEnd, RecordedRun } from "./run-and-record-end.ts";
import type { RunCaller, RunMethod, RunRequest } from "./run-request.ts";

/** Runs a program and gives the record of the run, however it ended. */
export type RunProgram = (
  project: string,
  method: RunMethod,
  request: RunRequest,
  caller: RunCaller,
) => Promise<Execution>;

type Deps = {
  programs: ProgramStore;
  programCache: ProgramCache;
  recorder: Recorder;
  sidecar: Sidecar;
  schemas: SchemaCache;
  inFlight: InFlightRuns<Execution>;
  runAndRecordEnd: ReturnType<typeof createRunAndRecordEnd>;
  replay: Replay;
  restart: Restart;
  allowedModels: readonly string[];
  defaultModel: string;
};

export function createRun({
  programs,
  programCache,
  recorder,
  sidecar,
  schemas,
  inFlight,
  runAndRecordEnd,
  replay,
  restart,
  allowedModels,
  defaultModel,
}: Deps): RunProgram {
  return run;

  async function run(...[project, method, request, caller]: Parameters<RunProgram>): Promise<Execution> {
    // The hash covers the request as it was sent, so that a repeated call gets its run even if the
    // program has changed since. A handle and the UUID of the same program differ in this hash.
    const key = requestKey(method, request.requestId, request);
    const earlier = key && (await replay(project, key, caller));
    const mayRunAgain = earlier?.hadEnded && method !== "stream" && canRestart(earlier.execution);
    if (earlier && !mayRunAgain) return earlier.execution;

    const v = createViolations();
    checkAnnotations(request, v);
    checkLm(request.lm, { allowedModels }, v.at("lm"));
    v.throwIfAny("REQUEST_INVALID");
    if (earlier) {
      const restarted = await restart(project, key, earlier.execution, caller);
      if (restarted === "has effects") return earlier.execution;
      if (restarted === "another was first") return run(project, method, request, caller);
      return runRecorded(restarted, request, caller);
    }
    const recorded =
      (await startFromCache(project, request, key, caller)) ??
      (await startFromStore(project, request, key, caller));
    // Another call recorded the same request_id first, or the program has just changed.
    if (!recorded) return run(project, method, request, caller);
    caller.onRecord(runningRecord(recorded.start));
    return runRecorded(recorded, request, caller);
  }

  function runRecorded(
    recorded: RecordedRun,
    { lm }: RunRequest,
    { signal, deadline, onChunk }: RunCaller,
  ): Promise<Execution> {
    return inFlight.start(recorded.start.id, signal, (end) =>
      runAndRecordEnd({ ...recorded, lm, deadline, onChunk }, end),
    );
  }

  /** Reads no program; the recorder writes nothing if the cached revision is no longer current. */
  async function startFromCache(
    project: string,
    request: RunRequest,
    key: RequestKey | null,
    caller: RunCaller,
  ): Promise<RecordedRun | undefined> {
    const cached = programCache.get(project, request.programId, request.revision);
    if (!cached) return undefined;
    try {
      return await recordStart(project, request, key, cached, caller);
    } catch (error) {
      // A newer revision may accept the same inputs.
      if (error instanceof Invalid) return undefined;
      throw error;
    }
  }

  async function startFromStore(
    project: string,
    request: RunRequest,
    key: RequestKey | null,
    caller: RunCaller,
  ): Promise<RecordedRun | undefined> {
    const found = await programs.getRevision(project, request.programId, request.revision);
    programCache.set(project, request.programId, request.revision, found);
    return recordStart(project, request, key, found, caller);
  }

  /** Commits the run as running; undefined if the recorder wrote nothing. */
  async function recordStart(
    project: string,
    request: RunRequest,
    key: RequestKey | null,
    { program, revision }: ProgramRevision,
    { signal }: RunCaller,
  ): Promise<RecordedRun | undefined> {
    const v = createViolations();
    checkTakenByRun(revision.definition, request.lm, { allowedModels }, v.at("lm"));
    v.throwIfAny("REQUEST_INVALID");
    const inputs = checkInputs(schemas, revision.definition.signature, request.inputs);
    // Before the record, so that a call without a sidecar leaves none.
    await sidecar.ready(signal);
    const start: RunStart = {
      project,
      id: uuidv7(),
      attempt: 1,
      earlierUsage: noTokens,
      programId: program.id,
      revision: revision.number,
      mustBeCurrent: request.revision === 0,
      inputs,
      ...annotationsOf(request),
      model: request.lm.model || revision.definition.lm.model || defaultModel,
      request: key,
      startedAt: new Date(),
    };
    return (await recorder.start(start)) ? { start, revision } : undefined;
  }
}
