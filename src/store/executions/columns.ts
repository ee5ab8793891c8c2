import { executionFields } from "../../domain/query/queryable.ts";
import { fieldColumns, type Queryable } from "../query/queryable.ts";
import { noTime, noUuid } from "../query/where.ts";
import type { ExecutionRow } from "./row.ts";

const steps = "steps::jsonb";
const duration = { sql: "duration_ms", nullSortsAs: "-1" };

/** What callers may query of executions. */
export const queryableExecutions: Queryable = {
  from: "sigrun.executions",
  projectId: "project_id",
  columns: fieldColumns<ExecutionRow, keyof typeof executionFields>(executionFields, {
    outputs: { sql: "outputs" },
    "steps.module": { sql: steps, within: ["module"] },
    "steps.outputs": { sql: steps, within: ["outputs"] },
    "steps.raw_answer": { sql: steps, within: ["rawAnswer"] },
    "steps.finish_reason": { sql: steps, within: ["finishReason"] },
    request_id: { sql: "request_id", nullSortsAs: noUuid },
    duration_ms: duration,
    duration_seconds: duration,
    "token_usage.input_tokens": { sql: "input_tokens" },
    "token_usage.output_tokens": { sql: "output_tokens" },
    "token_usage.total_tokens": { sql: "(input_tokens + output_tokens)" },
    "token_usage.cached_tokens": { sql: "cached_tokens" },
    "token_usage.lm_calls": { sql: "lm_calls" },
    started_at: { sql: "started_at", nullSortsAs: noTime },
    completed_at: { sql: "completed_at", nullSortsAs: noTime },
    created_at: { sql: "created_at", orderedLike: "id" },
  }),
};
