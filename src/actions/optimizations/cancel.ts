import { StatusConflict } from "../../domain/faults.ts";
import type { Optimization } from "../../domain/optimization/optimization.ts";
import { checkUuid } from "../../domain/uuid.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import type { OptimizationStore } from "../../store/optimizations/optimizations.ts";

/** Ends an optimization early, on whichever gateway it is under way; the program stays as it was. */
export function createCancelOptimization({
  optimizations,
  notices,
}: {
  optimizations: OptimizationStore;
  notices: Notices;
}) {
  return async function cancel(project: string, id: string): Promise<Optimization> {
    checkUuid(id, "id");
    const cancelled = await optimizations.cancel(project, id);
    if (!cancelled) {
      const { status } = await optimizations.get(project, id);
      throw new StatusConflict(`optimization ${id} can't be cancelled: it is ${status}`);
    }
    // Lost or not: who works on it finds out with the next progress that it writes.
    for (const kind of ["cancel", "optimization"] as const)
      await notices.send({ kind, project, id }).catch(() => {});
    return cancelled;
  };
}
