import { type Execution, executionEtag } from "../../domain/execution.ts";
import { EtagMismatch, Invalid } from "../../domain/faults.ts";
import { checkLabels, type Labels } from "../../domain/labels.ts";
import { checkUuid } from "../../domain/uuid.ts";
import type { ExecutionChangeStore } from "../../store/executions/changes.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";

export type ExecutionUpdate = {
  readonly id: string;
  readonly etag: string;
  readonly labels: Labels;
  /** Empty: the labels, where there are any. */
  readonly mask: readonly string[];
  readonly validateOnly: boolean;
};

type Deps = { executions: ExecutionStore; changes: ExecutionChangeStore };

/** Changes the labels of a record; what was recorded is not changed. */
export function createUpdateExecution({ executions, changes }: Deps) {
  return async function updateExecution(
    project: string,
    { id, etag, labels, mask, validateOnly }: ExecutionUpdate,
  ): Promise<Execution> {
    checkUuid(id, "execution.id");
    const violations = mask.flatMap((path, index) => {
      if (path === "labels" || path === "*") return [];
      const description = `${JSON.stringify(path)} can't be updated; there is labels`;
      return [{ field: `update_mask.paths[${index}]`, description, reason: "unknown" }];
    });
    if (violations.length > 0) throw new Invalid("REQUEST_INVALID", violations);
    checkLabels(labels, "execution.labels");
    const isAsked = mask.length > 0 || Object.keys(labels).length > 0;
    if (isAsked && !validateOnly) return changes.setLabels(project, id, etag, labels);
    const execution = await executions.get(project, id);
    if (etag !== "" && etag !== executionEtag(execution)) throw new EtagMismatch("execution", id);
    return isAsked ? { ...execution, labels } : execution;
  };
}
