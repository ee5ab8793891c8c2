import { createEvaluate } from "./actions/evaluations/evaluate.ts";
import { createAggregateExecutions } from "./actions/executions/aggregate.ts";
import { createBatch } from "./actions/executions/batch.ts";
import { createCancel } from "./actions/executions/cancel.ts";
import { createElsewhere } from "./actions/executions/external-runs.ts";
import { createGetExecution } from "./actions/executions/get.ts";
import { createLiveRuns } from "./actions/executions/in-flight.ts";
import { createListExecutions } from "./actions/executions/list.ts";
import { createPerform } from "./actions/executions/perform.ts";
import { createRecentPrograms } from "./actions/executions/program-cache.ts";
import { createReplay } from "./actions/executions/replay.ts";
import { createRun } from "./actions/executions/run.ts";
import { createStream } from "./actions/executions/stream.ts";
import { createUpdateExecution } from "./actions/executions/update.ts";
import { createWatch } from "./actions/executions/watch.ts";
import { createAttempt } from "./actions/optimizations/attempt.ts";
import { createCancelOptimization } from "./actions/optimizations/cancel.ts";
import { createGetOptimization } from "./actions/optimizations/get.ts";
import { createListOptimizations } from "./actions/optimizations/list.ts";
import { createStartOptimization } from "./actions/optimizations/start.ts";
import { createWatchOptimization } from "./actions/optimizations/watch.ts";
import { createBuild } from "./actions/programs/build.ts";
import { createOffer } from "./actions/programs/capabilities.ts";
import { createCompileProgram } from "./actions/programs/compile.ts";
import { createCreateProgram } from "./actions/programs/create.ts";
import { createDeploy } from "./actions/programs/deploy.ts";
import { createGetProgram } from "./actions/programs/get.ts";
import { createImportState } from "./actions/programs/import.ts";
import { createListPrograms } from "./actions/programs/list.ts";
import { createRevisions } from "./actions/programs/revisions.ts";
import { createUpdateProgram } from "./actions/programs/update.ts";
import { createCreateSignature } from "./actions/signatures/create.ts";
import { createGetSignature } from "./actions/signatures/get.ts";
import { createListSignatures } from "./actions/signatures/list.ts";
import { createValidate } from "./actions/signatures/validate.ts";
import { type Config, shownSettings } from "./config.ts";
import type { Execution } from "./domain/execution.ts";
import { offeredModules } from "./domain/program/capabilities.ts";
import { createSchemaCache } from "./domain/signature/schema.ts";
import type { Sidecar } from "./dspy/client.ts";
import { adminService } from "./rpc/admin.ts";
import { catalogService } from "./rpc/catalogue.ts";
import { executionService } from "./rpc/executions.ts";
import { optimizationService } from "./rpc/optimizations.ts";
import { programService } from "./rpc/programs.ts";
import { createRoutes } from "./rpc/router.ts";
import { runMethods } from "./rpc/runs.ts";
import { signatureService } from "./rpc/signatures.ts";
import type { Store } from "./store/store.ts";
import type { Logger } from "./telemetry.ts";

/** What the services stand on. */
type Ground = { config: Config; version: string; store: Store; sidecar: Sidecar; log: Logger };

export type Services = {
  readonly routes: ReturnType<typeof createRoutes>;
  /** Works on an optimization; for who takes it from the queue. */
  readonly attempt: ReturnType<typeof createAttempt>;
  /** Resolves once no run is under way. */
  idle(): Promise<void>;
  stopWatching(): void;
};

/** Builds every action and the services over them; main.ts has what they stand on. */
export function createServices({ config, version, store, sidecar, log }: Ground): Services {
  const {
    programs,
    revisions,
    changes,
    signatures,
    executions,
    executionChanges,
    recorder,
    notices,
    optimizations,
    performances,
  } = store;
  const schemas = createSchemaCache(1_000);
  const recent = createRecentPrograms(64 * 2 ** 20);
  const live = createLiveRuns<Execution>();
  const replay = createReplay({ executions, live, notices });
  const perform = createPerform({ sidecar, recorder, executions, revisions, recent, schemas, log });
  const watch = createWatch({ log: store.changeLog, notices });
  const build = createBuild({ revisions, sidecar });
  const watchOptimization = createWatchOptimization({ optimizations, notices });
  const attempt = createAttempt({ attempts: store.attempts, revisions, sidecar, notices, log });
  const models = { allowedModels: config.lmAllowed };
  const { generatedCode } = config;
  const offerTo = createOffer({ sidecar, generatedCode, ...models });
  const run = createRun({
    programs,
    recent,
    recorder,
    sidecar,
    schemas,
    live,
    perform,
    replay,
    defaultModel: config.lm,
    ...models,
  });
  const routes = createRoutes({
    signatures: signatureService({
      createSignature: createCreateSignature({ signatures }),
      getSignature: createGetSignature({ signatures }),
      listSignatures: createListSignatures({ signatures }),
      deleteSignature: signatures.remove,
      validate: createValidate({ signatures, programs, schemas }),
    }),
    programs: programService({
      createProgram: createCreateProgram({ programs, signatures, offerTo }),
      getProgram: createGetProgram({ programs, performances }),
      listPrograms: createListPrograms({ programs, performances }),
      updateProgram: createUpdateProgram({ programs, changes, signatures, offerTo }),
      deleteProgram: changes.remove,
      deploy: createDeploy({ changes }),
      revisions: createRevisions({ programs, revisions, changes }),
      compileProgram: createCompileProgram({ programs, build }),
      optimizeProgram: createStartOptimization({
        programs,
        optimizations,
        sidecar,
        schemas,
        build,
        ...models,
      }),
      evaluateProgram: createEvaluate({
        programs,
        evaluations: store.evaluations,
        sidecar,
        schemas,
        log,
        ...models,
      }),
      importState: createImportState({ programs, revisions, changes, sidecar }),
      log,
      runs: runMethods({
        run,
        stream: createStream({ run }),
        batch: createBatch({ run, programs, ...models }),
        log,
      }),
    }),
    executions: executionService({
      getExecution: createGetExecution({ executions }),
      listExecutions: createListExecutions({ executions }),
      aggregateExecutions: createAggregateExecutions({ executions }),
      watch: watch.watch,
      updateExecution: createUpdateExecution({ executions, changes: executionChanges }),
      deleteExecution: executionChanges.remove,
      cancelExecution: createCancel({ executions, changes: executionChanges, live, notices }),
      elsewhere: createElsewhere({ programs, executions, changes: executionChanges, schemas }),
    }),
    optimizations: optimizationService({
      getOptimization: createGetOptimization({ optimizations }),
      listOptimizations: createListOptimizations({ optimizations }),
      watchOptimization: watchOptimization.watch,
      cancelOptimization: createCancelOptimization({ optimizations, notices }),
    }),
    catalogue: catalogService({ modules: offeredModules({ generatedCode }), tools: sidecar.tools }),
    admin: adminService({ version, settings: shownSettings(config), schemas, sidecar }),
  });
  return {
    routes,
    attempt,
    idle: live.idle,
    stopWatching() {
      watch.stop();
      watchOptimization.stop();
    },
  };
}
