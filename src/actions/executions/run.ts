import { v7 as uuidv7 } from "uuid";
import type { Execution, Values } from "../../domain/execution.ts";
import { SidecarUnavailable } from "../../domain/faults.ts";
import { checkLabels, type Labels } from "../../domain/labels.ts";
import { checkLm } from "../../domain/lm.ts";
import type { LmSettings } from "../../domain/program.ts";
import { requestKey } from "../../domain/request.ts";
import type { SchemaCache } from "../../domain/schema.ts";
import type { ChunkEvent, Sidecar } from "../../sidecar/client.ts";
import type { ProgramStore } from "../../store/programs.ts";
import type { Recorder, Start } from "../../store/recorder.ts";
import { checkInputs } from "./inputs.ts";
import type { LiveRuns } from "./live.ts";
import type { createPerform } from "./perform.ts";
import { runningRecord } from "./record.ts";
import type { Replay } from "./replay.ts";

/** What a caller wants run. */
export type RunRequest = {
  /** UUID or handle. */
  readonly programId: string;
  /** 0: the deployed one where there is one, else the newest. */
  readonly revision: number;
  readonly inputs: Values;
  readonly labels: Labels;
  readonly lm: LmSettings;
  /** Empty for none. */
  readonly requestId: string;
};

export type RunCaller = {
  /** Aborted, with a fault as its reason, when the caller has gone or its time is up. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Told as soon as the run is on record; where it was made under the same request_id, as it is then. */
  onRecord(execution: Execution): void;
  readonly onChunk?: (event: ChunkEvent) => Promise<void>;
};

/** A request_id belongs to one of them. */
export type RunMethod = "execute" | "stream" | "batch";

/** Runs a program and gives the record of the run, however it ended. */
export type Run = (project: string, method: RunMethod, request: RunRequest, caller: RunCaller) => Promise<Execution>;

type Deps = {
  programs: ProgramStore;
  recorder: Recorder;
  sidecar: Sidecar;
  schemas: SchemaCache;
  live: LiveRuns<Execution>;
  perform: ReturnType<typeof createPerform>;
  replay: Replay;
  allowedModels: readonly string[];
  defaultModel: string;
};

export function createRun({ programs, recorder, sidecar, schemas, live, perform, replay, allowedModels, defaultModel }: Deps): Run {
  return async function run(project, method, request, caller) {
    // Of what was asked, not of what it is today: the same call gets the same run, whatever became of the program.
    const key = requestKey(method, request.requestId, request);
    const earlier = key && (await replay(project, key, caller));
    if (earlier) return earlier;

    checkLabels(request.labels, "labels");
    const lm = checkLm(request.lm, { allowedModels }, "lm");
    const { program, revision } = await programs.getRevision(project, request.programId, request.revision);
    const inputs = checkInputs(schemas, revision.definition.signature, request.inputs);
    // Before the record, so that a call that nobody could answer leaves none.
    if (!sidecar.info()) throw new SidecarUnavailable();

    const start: Start = {
      project,
      id: uuidv7(),
      programId: program.id,
      revision: revision.number,
      inputs,
      labels: request.labels,
      model: lm.model || revision.definition.lm.model || defaultModel,
      request: key,
      startedAt: new Date(),
    };
    // Another caller with the same request_id was faster by a moment.
    if (!(await recorder.start(start))) return run(project, method, request, caller);
    caller.onRecord(runningRecord(start));
    const { timeoutMs, onChunk } = caller;
    return live.begin(start.id, caller.signal, (signal) => perform({ start, revision, lm, onChunk }, { signal, timeoutMs }));
  };
}
