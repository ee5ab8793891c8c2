import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry.ts";
import { createBuild } from "../programs/build.ts";
import { createAttempt } from "./attempt.ts";
import { createCancelOptimization } from "./cancel.ts";
import { createGetOptimization } from "./get.ts";
import { createListOptimizations } from "./list.ts";
import { createStartOptimization } from "./start.ts";
import { createWatchOptimization } from "./watch.ts";

type Deps = {
  store: Store;
  sidecar: Sidecar;
  schemas: SchemaCache;
  log: Logger;
  allowedModels: readonly string[];
};

export type OptimizationActions = ReturnType<typeof createOptimizationActions>;

export function createOptimizationActions({ store, sidecar, schemas, log, allowedModels }: Deps) {
  const { programs, revisions, optimizations, attempts, notices } = store;
  const build = createBuild({ revisions, sidecar });
  return {
    optimizeProgram: createStartOptimization({
      programs,
      optimizations,
      sidecar,
      schemas,
      build,
      allowedModels,
    }),
    getOptimization: createGetOptimization({ optimizations }),
    listOptimizations: createListOptimizations({ optimizations }),
    watchOptimization: createWatchOptimization({ optimizations, notices }),
    cancelOptimization: createCancelOptimization({ optimizations, notices }),
    /** Works on an optimization that the queue hands out. */
    attempt: createAttempt({ attempts, programs, revisions, sidecar, notices, log }),
  };
}
