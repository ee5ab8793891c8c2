import { v7 as uuidv7 } from "uuid";
import { annotationsOf, checkAnnotations } from "../../domain/annotations.ts";
import type { Execution } from "../../domain/execution.ts";
import { Invalid, SidecarUnavailable } from "../../domain/faults.ts";
import { checkLm } from "../../domain/program/lm.ts";
import type { LmSettings } from "../../domain/program/program.ts";
import type { Revision } from "../../domain/program/revision.ts";
import { type RequestKey, requestKey } from "../../domain/request.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { Recorder } from "../../store/executions/recorder.ts";
import type { RunStart } from "../../store/executions/run.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { LiveRuns } from "./in-flight.ts";
import { checkInputs } from "./inputs.ts";
import type { createPerform } from "./perform.ts";
import type { ProgramRevision, RecentPrograms } from "./program-cache.ts";
import { runningRecord } from "./record.ts";
import type { Replay } from "./replay.ts";
import type { RunCaller, RunMethod, RunRequest } from "./run-request.ts";

/** Runs a program and gives the record of the run, however it ended. */
export type Run = (
  project: string,
  method: RunMethod,
  request: RunRequest,
  caller: RunCaller,
) => Promise<Execution>;

type Deps = {
  programs: ProgramStore;
  recent: RecentPrograms;
  recorder: Recorder;
  sidecar: Sidecar;
  schemas: SchemaCache;
  live: LiveRuns<Execution>;
  perform: ReturnType<typeof createPerform>;
  replay: Replay;
  allowedModels: readonly string[];
  defaultModel: string;
};

export function createRun({
  programs,
  recent,
  recorder,
  sidecar,
  schemas,
  live,
  perform,
  replay,
  allowedModels,
  defaultModel,
}: Deps): Run {
  return async function run(project, method, request, caller) {
    // Of what was asked, not of what it is today: the same call gets the same run, whatever became of the program.
    const key = requestKey(method, request.requestId, request);
    const earlier = key && (await replay(project, key, caller));
    if (earlier) return earlier;

    checkAnnotations(request, "");
    const lm = checkLm(request.lm, { allowedModels }, "lm");
    const begun =
      (await beginAsRecalled(project, request, lm, key)) ?? (await beginAsRead(project, request, lm, key));
    // Another caller with the same request_id was faster by a moment, or the program has just been changed.
    if (!begun) return run(project, method, request, caller);
    const { start, revision } = begun;
    caller.onRecord(runningRecord(start));
    const { timeoutMs, onChunk } = caller;
    return live.begin(start.id, caller.signal, (signal) =>
      perform({ start, revision, lm, onChunk }, { signal, timeoutMs }),
    );
  };

  /** Without reading the program: the record is made only where it is still what was read last. */
  async function beginAsRecalled(
    project: string,
    request: RunRequest,
    lm: LmSettings,
    key: RequestKey | null,
  ): Promise<Begun | undefined> {
    const recalled = recent.recall(project, request.programId, request.revision);
    if (!recalled) return undefined;
    try {
      return await begin(project, request, lm, key, recalled);
    } catch (error) {
      // By another revision the same inputs may be right.
      if (error instanceof Invalid) return undefined;
      throw error;
    }
  }

  async function beginAsRead(
    project: string,
    request: RunRequest,
    lm: LmSettings,
    key: RequestKey | null,
  ): Promise<Begun | undefined> {
    const read = await programs.getRevision(project, request.programId, request.revision);
    recent.remember(project, request.programId, request.revision, read);
    return begin(project, request, lm, key, read);
  }

  /** Commits the run as running; undefined where it was not recorded. */
  async function begin(
    project: string,
    request: RunRequest,
    lm: LmSettings,
    key: RequestKey | null,
    { program, revision }: ProgramRevision,
  ): Promise<Begun | undefined> {
    const inputs = checkInputs(schemas, revision.definition.signature, request.inputs);
    // Before the record, so that a call that nobody could answer leaves none.
    if (!sidecar.info()) throw new SidecarUnavailable();
    const start: RunStart = {
      project,
      id: uuidv7(),
      programId: program.id,
      revision: revision.number,
      isCurrent: request.revision === 0,
      inputs,
      ...annotationsOf(request),
      model: lm.model || revision.definition.lm.model || defaultModel,
      request: key,
      startedAt: new Date(),
    };
    return (await recorder.start(start)) ? { start, revision } : undefined;
  }
}

/** A run that stands on record as running. */
type Begun = { readonly start: RunStart; readonly revision: Revision };
