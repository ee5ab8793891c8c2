import type { TokenUsage } from "../execution.ts";
import { readTargets } from "./order.ts";
import type { Fields, Target } from "./queryable.ts";

/** What executions are grouped by. Hours and days are those of UTC in which an execution was recorded. */
const groupFields: Fields = {
  program_id: "program",
  revision: "number",
  status: "text",
  model: "text",
  error_reason: "text",
  labels: "labels",
  hour: "text",
  day: "text",
};

/** A group that was asked for, under the name that it was asked by. */
export type Grouping = { readonly name: string; readonly target: Target };

/** What is known of a group of executions. Durations are of those that have one, in milliseconds; 0 where none has. */
export type Aggregate = {
  readonly group: Readonly<Record<string, string>>;
  readonly count: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly averageMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly tokenUsage: TokenUsage;
};

/** Groups in one answer at most. */
export const mostGroups = 10_000;

/** Reads the names that a caller groups by. */
export function readGroupings(names: readonly string[]): readonly Grouping[] {
  const targets = readTargets(names, groupFields, "group_by");
  return names.map((name, index) => ({ name, target: targets[index] as Target }));
}
