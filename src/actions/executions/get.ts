import type { Execution } from "../../domain/execution.ts";
import { Invalid } from "../../domain/faults.ts";
import { isUuid } from "../../domain/uuid.ts";
import type { ExecutionStore } from "../../store/executions.ts";

/** Gives the record of a run. */
export function createGetExecution({ executions }: { executions: ExecutionStore }) {
  return async function getExecution(project: string, id: string): Promise<Execution> {
    if (!isUuid(id)) throw new Invalid("REQUEST_INVALID", [{ field: "id", description: "must be a UUID", reason: "type" }]);
    return executions.get(project, id);
  };
}
