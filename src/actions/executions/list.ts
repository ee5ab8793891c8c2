import type { Execution } from "../../domain/execution.ts";
import type { AskedList } from "../../domain/query/listing.ts";
import { executionFields } from "../../domain/query/queryable.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";
import { type List, list } from "../list.ts";

/** Lists executions; inputs, outputs and steps only if `withValues`. */
export function createListExecutions({ executions }: { executions: ExecutionStore }) {
  return (project: string, request: AskedList, withValues: boolean): Promise<List<Execution>> =>
    list(request, executionFields, ["executions", project], {
      find: (listing) => executions.find(project, listing, withValues),
      count: (listing) => executions.count(project, listing),
    });
}
