import type { Execution, TokenUsage } from "../execution.ts";
import type { Optimization } from "../optimization/optimization.ts";
import type { Program, Revision } from "../program/revision.ts";
import type { Signature } from "../signature/signature.ts";
import type { SnakeCase } from "../snake-case.ts";
import type { Word } from "./filter.ts";

/**
 * The kind of a field. "program" takes a UUID or a handle; "json" and "labels" have members; "list"
 * holds JSON and allows only the comparator ":".
 */
export type Kind =
  | "uuid"
  | "program"
  | "text"
  | "number"
  /** A number with a fraction. */
  | "fraction"
  | "time"
  | "json"
  | "labels"
  | "list"
  /** A duration in parts of a second, so many per second: 1,000 for milliseconds. */
  | { readonly duration: number }
  /** Names of an enum of the API, without this prefix; rows hold them in lower case. */
  | { readonly enum: string; readonly names: readonly string[] };

/** The fields of a resource, by their names in the API. */
export type Fields = Readonly<Record<string, Kind>>;

/**
 * Fields that include every property of a record but the hidden ones. A property that is neither
 * a field nor hidden does not compile.
 */
type FieldsOf<Item, Hidden extends keyof Item, Prefix extends string = ""> = Fields & {
  readonly [Name in Exclude<keyof Item, Hidden> & string as `${Prefix}${SnakeCase<Name>}`]: Kind;
};

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
  version: "number",
  instructions: "text",
  created_at: "time",
  updated_at: "time",
} as const satisfies FieldsOf<Signature, "inputs" | "outputs">;

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
} as const satisfies FieldsOf<Program, "etag" | "newest">;

/** Fields of the revisions of one program; the key is the number. */
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
} as const satisfies FieldsOf<Revision, "programId" | "definition" | "signatureVersion">;

export const executionFields = {
  id: "uuid",
  attempt: "number",
  program_id: "program",
  revision: "number",
  status: executionStatus,
  inputs: "json",
  outputs: "json",
  "steps.module": "list",
  "steps.outputs": "list",
  "steps.raw_answer": "list",
  "steps.finish_reason": "list",
  error_reason: "text",
  error_message: "text",
  model: "text",
  finish_reason: "text",
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
} as const satisfies FieldsOf<Execution, "violations" | "steps" | "tokenUsage" | "retryAfterMs"> &
  FieldsOf<TokenUsage, never, "token_usage.">;

type HiddenOfOptimizations =
  | ("metrics" | "seed" | "phase" | "message" | "fraction" | "bestScore")
  | ("tokenUsage" | "updatedAt");

export const optimizationFields = {
  id: "uuid",
  program_id: "program",
  base_revision: "number",
  revision: "number",
  optimizer: "text",
  status: { enum: "OPTIMIZATION_STATUS_", names: ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"] },
  config: "json",
  threads: "number",
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
} as const satisfies FieldsOf<Optimization, HiddenOfOptimizations> &
  FieldsOf<TokenUsage, "cachedTokens", "token_usage.">;

/** Resolves a path to a field; if there is none, returns what was expected and where. */
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
    // A label's key may hold dots; a label has no members.
    if (kind === "labels") return { field, kind, path: rest.length === 0 ? [] : [rest.join(".")] };
    if (rest.length === 0 || kind === "json" || kind === "list") return { field, kind, path: rest };
    return { expected: `the end of the path: ${field} has no members`, at: path[length]?.at ?? 0 };
  }
  return { expected: `one of ${Object.keys(fields).join(", ")}`, at: path[0]?.at ?? 0 };
}
