import type { Execution } from "../../domain/execution.ts";
import { checkUuid } from "../../domain/uuid.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";

export function createGetExecution({ executions }: { executions: ExecutionStore }) {
  return async function getExecution(project: string, id: string): Promise<Execution> {
    checkUuid(id, "id");
    return executions.get(project, id);
  };
}
