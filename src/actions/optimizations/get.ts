import type { Optimization } from "../../domain/optimization/optimization.ts";
import { checkUuid } from "../../domain/uuid.ts";
import type { OptimizationStore } from "../../store/optimizations/optimizations.ts";

export function createGetOptimization({ optimizations }: { optimizations: OptimizationStore }) {
  return async (project: string, id: string): Promise<Optimization> => {
    checkUuid(id, "id");
    return optimizations.get(project, id);
  };
}
