import { Op } from "sequelize";
import type { Execution } from "../domain/execution.ts";
import { NotFound } from "../domain/faults.ts";
import type { RequestKey } from "../domain/request.ts";
import type { Database } from "./database.ts";
import { type ExecutionRows, executionOf } from "./execution-row.ts";

/** Where a page begins (after this execution), how long it is, and whose it is. */
export type ExecutionPage = { readonly programId?: string; readonly after?: string; readonly limit: number; readonly withValues: boolean };

export type ExecutionStore = {
  get(project: string, id: string): Promise<Execution>;
  /** The run that stands under a request_id, with the hash of what was asked; null where there is none. */
  findByRequest(project: string, request: Omit<RequestKey, "hash">): Promise<{ execution: Execution; hash: string } | null>;
  /** The newest run under a request_id, of any method, that has not ended; else the newest; undefined where there is none. */
  findRunning(project: string, requestId: string): Promise<string | undefined>;
  /** Newest first. */
  list(project: string, page: ExecutionPage): Promise<Execution[]>;
};

const valueColumns = ["inputs", "outputs", "steps"];

/** Reads the records of runs. */
export function createExecutionStore(database: Database, Row: ExecutionRows): ExecutionStore {
  return {
    get: (project, id) =>
      database.use(async () => {
        const row = await Row.findOne({ where: { projectId: project, id } });
        if (!row) throw new NotFound("execution", id);
        return executionOf(row);
      }),

    findByRequest: (project, { method, id }) =>
      database.use(async () => {
        const row = await Row.findOne({ where: { projectId: project, requestMethod: method, requestId: id } });
        return row && { execution: executionOf(row), hash: row.requestHash ?? "" };
      }),

    findRunning: (project, requestId) =>
      database.use(async () => {
        const where = { projectId: project, requestId };
        const rows = await Row.findAll({ where, order: [["id", "DESC"]], limit: 10, attributes: ["id", "completedAt"] });
        return (rows.find(({ completedAt }) => completedAt === null) ?? rows[0])?.id;
      }),

    list: (project, { programId, after, limit, withValues }) =>
      database.use(async () => {
        const rows = await Row.findAll({
          where: { projectId: project, ...(programId && { programId }), ...(after && { id: { [Op.lt]: after } }) },
          order: [["id", "DESC"]],
          limit,
          ...(!withValues && { attributes: { exclude: valueColumns } }),
        });
        return rows.map(executionOf);
      }),
  };
}
