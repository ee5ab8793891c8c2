import { TooLarge } from "../../domain/faults.ts";
import { type Aggregate, maxGroups, readGroupings } from "../../domain/query/aggregate.ts";
import { readCondition } from "../../domain/query/condition.ts";
import { pageBytes } from "../../domain/query/page.ts";
import { executionFields } from "../../domain/query/queryable.ts";
import { weigh } from "../../domain/query/size.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";

/** Maximum size of the numbers of one aggregate in a message. */
const numbersBytes = 160;

/** Aggregates the matching executions: one aggregate per group, or one without groups. */
export function createAggregateExecutions({ executions }: { executions: ExecutionStore }) {
  return async (
    project: string,
    { filter, groupBy }: { filter: string; groupBy: readonly string[] },
  ): Promise<readonly Aggregate[]> => {
    const where = readCondition(filter, executionFields);
    const aggregates = await executions.aggregate(project, where, readGroupings(groupBy));
    // Groups have no pages, and gRPC clients refuse messages over 4 MiB by default.
    const bytes = aggregates.reduce((sum, { group }) => sum + numbersBytes + weigh(group), 0);
    if (aggregates.length > maxGroups || bytes > pageBytes)
      throw new TooLarge(
        `the answer has more than ${maxGroups} groups, or more than 3 MiB; narrow the filter or use fewer group_by fields`,
      );
    return aggregates;
  };
}
