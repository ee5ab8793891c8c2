import type { Word } from "./filter.ts";

/** What may be asked of a field. "program" takes a UUID or a handle; "json" and "labels" have members; "list" is of JSON, and may be asked by : alone. */
export type Kind =
  | "uuid"
  | "program"
  | "text"
  | "number"
  /** A number that need not be whole. */
  | "fraction"
  | "time"
  | "json"
  | "labels"
  | "list"
  /** A number of a second's parts; of milliseconds there are 1,000. */
  | { readonly duration: number }
  /** The names that the API has for it, under this prefix; rows have them in lower case. */
  | { readonly enum: string; readonly names: readonly string[] };

/** The fields of a noun by the names that they have on the wire. */
export type Fields = Readonly<Record<string, Kind>>;

/** A field, or a member of one. */
export type Target = { readonly field: string; readonly kind: Kind; readonly path: readonly string[] };

const programStatus: Kind = {
  enum: "PROGRAM_STATUS_",
  names: ["DRAFT", "READY", "OPTIMIZED", "DEPLOYED", "ERROR"],
};
const executionStatus: Kind = {
  enum: "EXECUTION_STATUS_",
  names: ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"],
};

export const signatureFields = {
  id: "uuid",
  name: "text",
  instructions: "text",
  created_at: "time",
  updated_at: "time",
} as const satisfies Fields;

export const programFields = {
  id: "uuid",
  handle: "text",
  name: "text",
  description: "text",
  status: programStatus,
  revision: "number",
  deployed_revision: "number",
  signature_id: "uuid",
  dspy_program_id: "text",
  labels: "labels",
  performance_metrics: "json",
  error_reason: "text",
  error_message: "text",
  created_at: "time",
  updated_at: "time",
} as const satisfies Fields;

/** Of one program; each is known by its number. */
export const revisionFields = {
  number: "number",
  origin: "text",
  status: { enum: "PROGRAM_STATUS_", names: ["DRAFT", "READY", "OPTIMIZED", "ERROR"] },
  optimization_id: "uuid",
  signature_id: "uuid",
  dspy_program_id: "text",
  score: "fraction",
  error_reason: "text",
  error_message: "text",
  created_at: "time",
} as const satisfies Fields;

export const executionFields = {
  id: "uuid",
  program_id: "program",
  revision: "number",
  status: executionStatus,
  inputs: "json",
  outputs: "json",
  "steps.module": "list",
  "steps.outputs": "list",
  "steps.raw_answer": "list",
  error_reason: "text",
  error_message: "text",
  model: "text",
  labels: "labels",
  request_id: "uuid",
  duration_ms: { duration: 1_000 },
  duration_seconds: { duration: 1 },
  "token_usage.input_tokens": "number",
  "token_usage.output_tokens": "number",
  "token_usage.total_tokens": "number",
  "token_usage.cached_tokens": "number",
  "token_usage.lm_calls": "number",
  started_at: "time",
  completed_at: "time",
  created_at: "time",
  updated_at: "time",
} as const satisfies Fields;

export const optimizationFields = {
  id: "uuid",
  program_id: "program",
  base_revision: "number",
  revision: "number",
  optimizer: "text",
  status: { enum: "OPTIMIZATION_STATUS_", names: ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"] },
  config: "json",
  baseline_score: "fraction",
  score: "fraction",
  error_reason: "text",
  error_message: "text",
  labels: "labels",
  request_id: "uuid",
  attempt: "number",
  trainset_size: "number",
  valset_size: "number",
  "token_usage.input_tokens": "number",
  "token_usage.output_tokens": "number",
  "token_usage.total_tokens": "number",
  "token_usage.lm_calls": "number",
  started_at: "time",
  completed_at: "time",
  created_at: "time",
} as const satisfies Fields;

/** Finds what a path names; else says what was expected, and at which of its words. */
export function resolveTarget(
  fields: Fields,
  path: readonly Word[],
): Target | { expected: string; at: number } {
  const names = path.map(({ text }) => text);
  for (const length of [2, 1]) {
    const field = names.slice(0, length).join(".");
    if (names.length < length || !Object.hasOwn(fields, field)) continue;
    const kind = fields[field] as Kind;
    const rest = names.slice(length);
    // A label's key may hold dots, and has nothing under it.
    if (kind === "labels") return { field, kind, path: rest.length === 0 ? [] : [rest.join(".")] };
    if (rest.length === 0 || kind === "json" || kind === "list") return { field, kind, path: rest };
    return { expected: `no field of ${field}, which has none`, at: path[length]?.at ?? 0 };
  }
  return { expected: `one of ${Object.keys(fields).join(", ")}`, at: path[0]?.at ?? 0 };
}
