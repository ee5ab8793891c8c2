import {
  type Annotations,
  annotationPaths,
  checkAnnotations,
  maskedAnnotations,
} from "../../domain/annotations.ts";
import { type Execution, executionEtag } from "../../domain/execution.ts";
import { EtagMismatch } from "../../domain/faults.ts";
import { checkUuid } from "../../domain/uuid.ts";
import { createViolations } from "../../domain/violations.ts";
import type { ExecutionChangeStore } from "../../store/executions/changes.ts";
import type { ExecutionStore } from "../../store/executions/executions.ts";

export type ExecutionUpdate = {
  readonly id: string;
  readonly etag: string;
  readonly annotations: Annotations;
  /** Names of annotations. Empty: those that are set. */
  readonly mask: readonly string[];
  readonly validateOnly: boolean;
};

type Deps = { executions: ExecutionStore; changes: ExecutionChangeStore };

/** Changes the annotations of a record; the rest of a record never changes by an update. */
export function createUpdateExecution({ executions, changes }: Deps) {
  return async function updateExecution(
    project: string,
    { id, etag, annotations, mask, validateOnly }: ExecutionUpdate,
  ): Promise<Execution> {
    checkUuid(id, "execution.id");
    const v = createViolations();
    for (const [index, path] of mask.entries())
      if (path !== "*" && !annotationPaths.includes(path)) {
        const description = `${JSON.stringify(path)} can't be updated; expected one of ${annotationPaths.join(", ")}`;
        v.at("update_mask", "paths").add(index, description, "unknown");
      }
    checkAnnotations(annotations, v.at("execution"));
    v.throwIfAny("REQUEST_INVALID");
    const changed = maskedAnnotations(annotations, mask);
    if (Object.keys(changed).length > 0 && !validateOnly) return changes.annotate(project, id, etag, changed);
    const execution = await executions.get(project, id);
    if (etag !== "" && etag !== executionEtag(execution)) throw new EtagMismatch("execution", id);
    return { ...execution, ...changed };
  };
}
