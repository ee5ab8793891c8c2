import type { Optimization } from "../../domain/optimization/optimization.ts";
import type { AskedList } from "../../domain/query/listing.ts";
import { optimizationFields } from "../../domain/query/queryable.ts";
import type { OptimizationStore } from "../../store/optimizations/optimizations.ts";
import { type List, list } from "../list.ts";

export function createListOptimizations({ optimizations }: { optimizations: OptimizationStore }) {
  return (project: string, request: AskedList): Promise<List<Optimization>> =>
    list(request, optimizationFields, ["optimizations", project], {
      find: (listing) => optimizations.find(project, listing),
      count: (listing) => optimizations.count(project, listing),
    });
}
