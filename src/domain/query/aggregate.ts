import type { TokenUsage } from "../execution.ts";
import { readTargets } from "./order.ts";
import type { Fields, Target } from "./queryable.ts";

/** The fields to group executions by. "hour" and "day" are those of created_at, in UTC. */
const groupFields: Fields = {
  program_id: "program",
  revision: "number",
  status: "text",
  model: "text",
  finish_reason: "text",
  error_reason: "text",
  labels: "labels",
  hour: "text",
  day: "text",
};

/** A field to group by, under the name that the caller gave it. */
export type Grouping = { readonly name: string; readonly target: Target };

/**
 * Figures of a group of executions. Durations are in milliseconds, over executions that have one;
 * else 0.
 */
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

/** Maximum number of groups in one answer. */
export const maxGroups = 10_000;

/** Reads the names of group_by. */
export function readGroupings(names: readonly string[]): readonly Grouping[] {
  const targets = readTargets(names, groupFields, "group_by");
  return names.map((name, index) => ({ name, target: targets[index] as Target }));
}
