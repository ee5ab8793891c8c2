import { optimizationFields } from "../../domain/query/queryable.ts";
import { fieldColumns, type Queryable } from "../query/queryable.ts";
import { noTime, noUuid } from "../query/where.ts";
import type { OptimizationRow } from "./row.ts";

/** What callers may query of optimizations. */
export const queryableOptimizations: Queryable = {
  from: "sigrun.optimizations",
  projectId: "project_id",
  columns: fieldColumns<OptimizationRow, keyof typeof optimizationFields>(optimizationFields, {
    revision: { sql: "revision", nullSortsAs: "0" },
    baseline_score: { sql: "baseline_score", nullSortsAs: "-1" },
    score: { sql: "score", nullSortsAs: "-1" },
    request_id: { sql: "request_id", nullSortsAs: noUuid },
    "token_usage.input_tokens": { sql: "input_tokens" },
    "token_usage.output_tokens": { sql: "output_tokens" },
    "token_usage.total_tokens": { sql: "(input_tokens + output_tokens)" },
    "token_usage.lm_calls": { sql: "lm_calls" },
    started_at: { sql: "started_at", nullSortsAs: noTime },
    completed_at: { sql: "completed_at", nullSortsAs: noTime },
    created_at: { sql: "created_at", orderedLike: "id" },
  }),
};
