import type { Queryable } from "../query/query.ts";

const noTime = "'-infinity'::timestamptz";
const steps = "steps::jsonb";
const duration = { sql: "duration_ms", least: "-1" };

/** What callers may ask of executions. */
export const queryableExecutions: Queryable = {
  from: "executions",
  projectId: "project_id",
  columns: {
    id: { sql: "id" },
    program_id: { sql: "program_id" },
    revision: { sql: "revision" },
    status: { sql: "status" },
    inputs: { sql: "inputs" },
    outputs: { sql: "outputs" },
    "steps.module": { sql: steps, within: ["module"] },
    "steps.outputs": { sql: steps, within: ["outputs"] },
    "steps.raw_answer": { sql: steps, within: ["rawAnswer"] },
    error_reason: { sql: "error_reason" },
    error_message: { sql: "error_message" },
    model: { sql: "model" },
    labels: { sql: "labels" },
    request_id: { sql: "request_id", least: "'00000000-0000-0000-0000-000000000000'::uuid" },
    duration_ms: duration,
    duration_seconds: duration,
    "token_usage.input_tokens": { sql: "input_tokens" },
    "token_usage.output_tokens": { sql: "output_tokens" },
    "token_usage.total_tokens": { sql: "(input_tokens + output_tokens)" },
    "token_usage.cached_tokens": { sql: "cached_tokens" },
    "token_usage.lm_calls": { sql: "lm_calls" },
    started_at: { sql: "started_at", least: noTime },
    completed_at: { sql: "completed_at", least: noTime },
    created_at: { sql: "created_at", madeWith: "id" },
    updated_at: { sql: "updated_at" },
  },
};
