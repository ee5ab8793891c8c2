import type { Execution } from "../../domain/execution.ts";
import { NotFound } from "../../domain/faults.ts";
import type { Aggregate, Grouping } from "../../domain/query/aggregate.ts";
import type { Condition } from "../../domain/query/condition.ts";
import type { Listing } from "../../domain/query/listing.ts";
import type { Found } from "../../domain/query/page.ts";
import type { RequestKey } from "../../domain/request.ts";
import type { Database } from "../database.ts";
import { countRows, findRows } from "../query/query.ts";
import { aggregateExecutions } from "./aggregates.ts";
import { queryableExecutions } from "./columns.ts";
import { type ExecutionRow, type ExecutionRows, executionOf, executionSelect, valueBytes } from "./row.ts";

export type ExecutionStore = {
  get(project: string, id: string): Promise<Execution>;
  /** The run on record under a request_id, with the request's hash; null if there is none. */
  findByRequest(
    project: string,
    request: Omit<RequestKey, "hash">,
  ): Promise<{ execution: Execution; hash: string } | null>;
  /**
   * The newest run under a request_id, of any method, that has not ended. If all have ended, the
   * newest; undefined if there is none.
   */
  findRunning(project: string, requestId: string): Promise<string | undefined>;
  find(project: string, listing: Listing, withValues: boolean): Promise<Found<Execution>[]>;
  count(project: string, listing: Listing): Promise<number>;
  /** Returns one aggregate more than the maximum if there are too many groups. */
  aggregate(
    project: string,
    where: Condition | null,
    groupings: readonly Grouping[],
  ): Promise<readonly Aggregate[]>;
};

/** Reads the records of runs. */
export function createExecutionStore(database: Database, Row: ExecutionRows): ExecutionStore {
  const byId = {
    sql: `SELECT ${executionSelect(true)} FROM sigrun.executions WHERE project_id = $1 AND id = $2`,
  };

  return {
    async get(project, id) {
      const [row] = await database.rows<ExecutionRow>(byId, [project, id]);
      if (!row) throw new NotFound("execution", id);
      return executionOf(row);
    },

    findByRequest: (project, { method, id }) =>
      database.use(async () => {
        const row = await Row.findOne({
          where: { projectId: project, requestMethod: method, requestId: id },
        });
        return row && { execution: executionOf(row), hash: row.requestHash ?? "" };
      }),

    findRunning: (project, requestId) =>
      database.use(async () => {
        const where = { projectId: project, requestId };
        const rows = await Row.findAll({
          where,
          order: [["id", "DESC"]],
          limit: 10,
          attributes: ["id", "completedAt"],
        });
        return (rows.find(({ completedAt }) => completedAt === null) ?? rows[0])?.id;
      }),

    async find(project, listing, withValues) {
      const selection = {
        select: executionSelect(withValues),
        bytes: withValues ? valueBytes("page") : "0",
      };
      const found = await findRows<ExecutionRow>(database, project, queryableExecutions, selection, listing);
      return found.map(({ row, ...place }) => ({ row: executionOf(row), ...place }));
    },

    count: (project, listing) => countRows(database, project, queryableExecutions, listing),

    aggregate: (project, where, groupings) => aggregateExecutions(database, project, where, groupings),
  };
}
