import { ForeignKeyConstraintError, Op, UniqueConstraintError } from "sequelize";
import { Cancelled, NotFound } from "../../domain/faults.ts";
import { optimizationStep } from "../../domain/lifecycle.ts";
import type { Optimization, OptimizationTask } from "../../domain/optimization/optimization.ts";
import type { Listing } from "../../domain/query/listing.ts";
import type { Found } from "../../domain/query/page.ts";
import type { RequestKey } from "../../domain/request.ts";
import type { Database } from "../database.ts";
import { countRows, findRows } from "../query/query.ts";
import { queryableOptimizations } from "./columns.ts";
import type { Queue } from "./queue.ts";
import { type OptimizationRow, type OptimizationRows, optimizationOf, optimizationSelect } from "./row.ts";

/** An optimization that is not recorded yet. */
export type OptimizationDraft = Pick<
  Optimization,
  "id" | "programId" | "baseRevision" | "optimizer" | "metrics" | "config" | "seed" | "threads" | "labels"
> &
  OptimizationTask & { readonly request: RequestKey | null };

export type OptimizationStore = {
  /**
   * Records an optimization and enqueues its job in one transaction. Returns false and writes
   * nothing if its request_id is on record.
   */
  create(project: string, draft: OptimizationDraft): Promise<boolean>;
  get(project: string, id: string): Promise<Optimization>;
  /**
   * The optimization on record under a request_id, with the request's hash; null if there is none.
   */
  findByRequest(
    project: string,
    requestId: string,
  ): Promise<{ optimization: Optimization; hash: string } | null>;
  find(project: string, listing: Listing): Promise<Found<Optimization>[]>;
  count(project: string, listing: Listing): Promise<number>;
  /**
   * Cancels an optimization; undefined if it has ended. The gateway that works on it finds out at
   * its next write.
   */
  cancel(project: string, id: string): Promise<Optimization | undefined>;
};

/** Records, reads and cancels optimizations. The work on them is recorded by attempts.ts. */
export function createOptimizationStore(
  database: Database,
  Row: OptimizationRows,
  queue: Queue,
): OptimizationStore {
  return {
    async create(project, { request, seed, ...draft }) {
      const { trainset, valset } = draft;
      const sizes = { trainsetSize: trainset.length, valsetSize: valset.length };
      const key = { requestId: request?.id ?? null, requestHash: request?.hash ?? null };
      try {
        await database.transact(async (transaction) => {
          const row = {
            projectId: project,
            ...draft,
            ...sizes,
            ...key,
            seed: String(seed),
            status: "pending" as const,
          };
          await Row.create(row, { transaction, returning: false });
          await queue.enqueue({ project, id: draft.id }, draft.budget.timeMs, transaction);
        });
        queue.announce({ project, id: draft.id });
        return true;
      } catch (error) {
        if (error instanceof UniqueConstraintError) return false;
        if (error instanceof ForeignKeyConstraintError) throw new NotFound("program", draft.programId);
        throw error;
      }
    },

    get: (project, id) =>
      database.use(async () => {
        const row = await Row.findOne({
          where: { projectId: project, id },
          attributes: { exclude: ["trainset", "valset"] },
        });
        if (!row) throw new NotFound("optimization", id);
        return optimizationOf(row);
      }),

    findByRequest: (project, requestId) =>
      database.use(async () => {
        const row = await Row.findOne({
          where: { projectId: project, requestId },
          attributes: { exclude: ["trainset", "valset"] },
        });
        return row && { optimization: optimizationOf(row), hash: row.requestHash ?? "" };
      }),

    async find(project, listing) {
      const selection = {
        select: optimizationSelect,
        bytes:
          "octet_length(page.config::text) + octet_length(page.metrics::text) + octet_length(page.labels::text)",
      };
      const found = await findRows<OptimizationRow>(
        database,
        project,
        queryableOptimizations,
        selection,
        listing,
      );
      return found.map(({ row, ...place }) => ({ row: optimizationOf(row), ...place }));
    },

    count: (project, listing) => countRows(database, project, queryableOptimizations, listing),

    cancel: (project, id) =>
      database.use(async () => {
        const { from, to } = optimizationStep("cancel");
        const { reason, message } = new Cancelled("the optimization was cancelled");
        const [, [row]] = await Row.update(
          { status: to, completedAt: new Date(), errorReason: reason, errorMessage: message },
          { where: { projectId: project, id, status: { [Op.in]: [...from] } }, returning: true },
        );
        return row && optimizationOf(row);
      }),
  };
}
