import { v7 as uuidv7 } from "uuid";
import { annotationsOf, checkAnnotations } from "../../domain/annotations.ts";
import type { Execution } from "../../domain/execution.ts";
import { Invalid, SidecarUnavailable } from "../../domain/faults.ts";
import { checkLm } from "../../domain/program/lm.ts";
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
  allowedModels,
  defaultModel,
}: Deps): RunProgram {
  return async function run(project, method, request, caller) {
    // The hash covers the request as it was sent, so that a repeated call gets its run even if the
    // program has changed since. A handle and the UUID of the same program differ in this hash.
    const key = requestKey(method, request.requestId, request);
    const earlier = key && (await replay(project, key, caller));
    if (earlier) return earlier;

    const v = createViolations();
    checkAnnotations(request, v);
    checkLm(request.lm, { allowedModels }, v.at("lm"));
    v.throwIfAny("REQUEST_INVALID");
    const recorded =
      (await startFromCache(project, request, key)) ?? (await startFromStore(project, request, key));
    // Another call recorded the same request_id first, or the program has just changed.
    if (!recorded) return run(project, method, request, caller);
    const { start } = recorded;
    caller.onRecord(runningRecord(start));
    const { onChunk } = caller;
    return inFlight.start(start.id, caller.signal, (signal) =>
      runAndRecordEnd({ ...recorded, lm: request.lm, onChunk }, signal),
    );
  };

  /** Reads no program; the recorder writes nothing if the cached revision is no longer current. */
  async function startFromCache(
    project: string,
    request: RunRequest,
    key: RequestKey | null,
  ): Promise<RecordedRun | undefined> {
    const cached = programCache.get(project, request.programId, request.revision);
    if (!cached) return undefined;
    try {
      return await recordStart(project, request, key, cached);
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
  ): Promise<RecordedRun | undefined> {
    const found = await programs.getRevision(project, request.programId, request.revision);
    programCache.set(project, request.programId, request.revision, found);
    return recordStart(project, request, key, found);
  }

  /** Commits the run as running; undefined if the recorder wrote nothing. */
  async function recordStart(
    project: string,
    request: RunRequest,
    key: RequestKey | null,
    { program, revision }: ProgramRevision,
  ): Promise<RecordedRun | undefined> {
    const inputs = checkInputs(schemas, revision.definition.signature, request.inputs);
    // Checked before the record, so that a call without a sidecar leaves no record.
    if (!sidecar.info()) throw new SidecarUnavailable();
    const start: RunStart = {
      project,
      id: uuidv7(),
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
