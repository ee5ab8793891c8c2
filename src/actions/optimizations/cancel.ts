import { StatusConflict } from "../../domain/faults.ts";
import type { Optimization } from "../../domain/optimization/optimization.ts";
import { checkUuid } from "../../domain/uuid.ts";
import type { Notices } from "../../store/notifications/notices.ts";
import type { OptimizationStore } from "../../store/optimizations/optimizations.ts";

/** Cancels an optimization, whichever gateway works on it. The program does not change. */
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
    // A lost notice does no harm: the running gateway finds out when it writes its next progress.
    for (const kind of ["cancel", "optimization"] as const)
      await notices.send({ kind, project, id }).catch(() => {});
    return cancelled;
  };
}
