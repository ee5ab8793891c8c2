import { type Aggregate, mostGroups, readGroupings } from "../../domain/aggregate.ts";
import { readCondition } from "../../domain/condition.ts";
import { TooLarge } from "../../domain/faults.ts";
import { executionFields } from "../../domain/queryable.ts";
import type { ExecutionStore } from "../../store/executions.ts";

/** Sums up the executions that match: one aggregate for each group there is, or one in all. */
export function createAggregateExecutions({ executions }: { executions: ExecutionStore }) {
  return async (project: string, { filter, groupBy }: { filter: string; groupBy: readonly string[] }): Promise<readonly Aggregate[]> => {
    const where = readCondition(filter, executionFields);
    const aggregates = await executions.aggregate(project, where, readGroupings(groupBy));
    if (aggregates.length > mostGroups) throw new TooLarge(`there are more than ${mostGroups} groups; narrow the filter, or group by less`);
    return aggregates;
  };
}
