import { TooLarge } from "../../domain/faults.ts";
import { type Aggregate, mostGroups, readGroupings } from "../../domain/query/aggregate.ts";
import { readCondition } from "../../domain/query/condition.ts";
import { pageBytes } from "../../domain/query/page.ts";
import { executionFields } from "../../domain/query/queryable.ts";
import { weigh } from "../../domain/query/size.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";

/** What an aggregate's numbers take in a message, at most. */
const numbersBytes = 160;

/** Sums up the executions that match: one aggregate for each group there is, or one in all. */
export function createAggregateExecutions({ executions }: { executions: ExecutionStore }) {
  return async (
    project: string,
    { filter, groupBy }: { filter: string; groupBy: readonly string[] },
  ): Promise<readonly Aggregate[]> => {
    const where = readCondition(filter, executionFields);
    const aggregates = await executions.aggregate(project, where, readGroupings(groupBy));
    // There are no pages of groups, and a client takes no message over 4 MiB.
    const bytes = aggregates.reduce((sum, { group }) => sum + numbersBytes + weigh(group), 0);
    if (aggregates.length > mostGroups || bytes > pageBytes)
      throw new TooLarge(
        `there are more than ${mostGroups} groups, or more than 3 MiB of them; narrow the filter, or group by less`,
      );
    return aggregates;
  };
}
