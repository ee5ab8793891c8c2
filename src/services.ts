import { createEvaluationActions } from "./actions/evaluations/actions.ts";
import { createExecutionActions } from "./actions/executions/actions.ts";
import { createOptimizationActions, type OptimizationActions } from "./actions/optimizations/actions.ts";
import { createProgramActions } from "./actions/programs/actions.ts";
import { createSignatureActions } from "./actions/signatures/actions.ts";
import { type Config, shownSettings } from "./config.ts";
import { offeredModules } from "./domain/program/capabilities.ts";
import { createSchemaCache } from "./domain/signature/schema.ts";
import type { Sidecar } from "./dspy/client.ts";
import { adminService } from "./rpc/admin.ts";
import { catalogService } from "./rpc/catalogue.ts";
import { executionService } from "./rpc/executions.ts";
import { optimizationService } from "./rpc/optimizations.ts";
import { programService } from "./rpc/programs.ts";
import { createRoutes } from "./rpc/router.ts";
import { signatureService } from "./rpc/signatures.ts";
import type { Store } from "./store/store.ts";
import type { Logger } from "./telemetry.ts";

type Deps = { config: Config; version: string; store: Store; sidecar: Sidecar; log: Logger };

export type Services = {
  readonly routes: ReturnType<typeof createRoutes>;
  /** Works on an optimization that the queue hands out. */
  readonly attempt: OptimizationActions["attempt"];
  /** Resolves once no run is in flight. */
  idle(): Promise<void>;
  /** Ends all runs in flight early; their records say that this gateway stopped. */
  endRuns(): void;
  /** True if this gateway runs the execution. */
  isInFlight(id: string): boolean;
};

const maxSchemas = 1_000;

/** Builds the actions of each noun and the services that call them. */
export function createServices({ config, version, store, sidecar, log }: Deps): Services {
  const { generatedCode, lmAllowed: allowedModels, lm: defaultModel } = config;
  const schemas = createSchemaCache(maxSchemas);
  const deps = { store, sidecar, schemas, log, allowedModels, defaultModel, generatedCode };
  const programs = createProgramActions(deps);
  const executions = createExecutionActions(deps);
  const optimizations = createOptimizationActions(deps);
  const evaluations = createEvaluationActions(deps);
  return {
    routes: createRoutes({
      signatures: signatureService(createSignatureActions(deps)),
      programs: programService({ programs, executions, optimizations, evaluations, log }),
      executions: executionService(executions),
      optimizations: optimizationService(optimizations),
      catalogue: catalogService({ modules: offeredModules({ generatedCode }), tools: sidecar.tools }),
      admin: adminService({ version, settings: shownSettings(config), schemas, sidecar }),
    }),
    attempt: optimizations.attempt,
    idle: executions.idle,
    endRuns: executions.endRuns,
    isInFlight: executions.isInFlight,
  };
}
