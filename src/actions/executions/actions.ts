import type { Execution } from "../../domain/execution.ts";
import { Stopping } from "../../domain/faults.ts";
import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry.ts";
import { createAggregateExecutions } from "./aggregate.ts";
import { createBatch } from "./batch.ts";
import { createCancel } from "./cancel.ts";
import { createExternalRuns } from "./external-runs.ts";
import { createGetExecution } from "./get.ts";
import { createInFlightRuns } from "./in-flight.ts";
import { createListExecutions } from "./list.ts";
import { createProgramCache } from "./program-cache.ts";
import { createReplay } from "./replay.ts";
import { createRestart } from "./restart.ts";
import { createRun } from "./run.ts";
import { createRunAndRecordEnd } from "./run-and-record-end.ts";
import { createStream } from "./stream.ts";
import { createUpdateExecution } from "./update.ts";
import { createWatch } from "./watch.ts";

type Deps = {
  store: Store;
  sidecar: Sidecar;
  schemas: SchemaCache;
  log: Logger;
  allowedModels: readonly string[];
  defaultModel: string;
};

const programCacheBytes = 64 * 2 ** 20;

export type ExecutionActions = ReturnType<typeof createExecutionActions>;

export function createExecutionActions({ store, sidecar, schemas, log, allowedModels, defaultModel }: Deps) {
  const { programs, revisions, executions, executionChanges: changes, recorder, notices, changeLog } = store;
  const inFlight = createInFlightRuns<Execution>();
  const programCache = createProgramCache(programCacheBytes);
  const replay = createReplay({ executions, inFlight, notices });
  const runAndRecordEnd = createRunAndRecordEnd({
    sidecar,
    recorder,
    executions,
    revisions,
    programCache,
    schemas,
    log,
  });
  const restart = createRestart({ programs, recorder, sidecar, inFlight });
  const models = { allowedModels, defaultModel };
  const run = createRun({
    programs,
    programCache,
    recorder,
    sidecar,
    schemas,
    inFlight,
    runAndRecordEnd,
    replay,
    restart,
    ...models,
  });
  return {
    executeProgram: run,
    streamProgram: createStream({ run }),
    batchExecuteProgram: createBatch({ run, programs, allowedModels }),
    getExecution: createGetExecution({ executions }),
    listExecutions: createListExecutions({ executions }),
    aggregateExecutions: createAggregateExecutions({ executions }),
    watchExecutions: createWatch({ changeLog, notices }),
    updateExecution: createUpdateExecution({ executions, changes }),
    deleteExecution: changes.remove,
    cancelExecution: createCancel({ executions, changes, inFlight, notices }),
    ...createExternalRuns({ programs, executions, changes, schemas }),
    /** Resolves once no run is in flight. */
    idle: inFlight.idle,
    endRuns: () => inFlight.cancelAll(new Stopping()),
    isInFlight: inFlight.has,
  };
}
