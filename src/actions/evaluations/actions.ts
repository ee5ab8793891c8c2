import type { SchemaCache } from "../../domain/signature/schema.ts";
import type { Sidecar } from "../../dspy/client.ts";
import type { Store } from "../../store/store.ts";
import type { Logger } from "../../telemetry.ts";
import { createEvaluate } from "./evaluate.ts";

type Deps = {
  store: Store;
  sidecar: Sidecar;
  schemas: SchemaCache;
  log: Logger;
  allowedModels: readonly string[];
};

export type EvaluationActions = ReturnType<typeof createEvaluationActions>;

export function createEvaluationActions({ store: { programs, evaluations }, ...rest }: Deps) {
  return { evaluateProgram: createEvaluate({ programs, evaluations, ...rest }) };
}
