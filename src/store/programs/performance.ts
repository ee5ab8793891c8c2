import { type Performance, performanceWindow } from "../../domain/program/performance.ts";
import type { Database } from "../database.ts";

export type PerformanceStore = {
  /** The performance of programs by their ids, read by one statement. */
  of(project: string, programIds: readonly string[]): Promise<ReadonlyMap<string, Performance>>;
};

export function createPerformanceStore(database: Database): PerformanceStore {
  return {
    async of(project, programIds) {
      if (programIds.length === 0) return new Map();
      const rows = await database.slowRows<PerformanceColumns>(sql, [project, programIds]);
      return new Map(rows.map((row) => [row.id, performanceOf(row)]));
    },
  };
}

const sql = `
  SELECT p.id, r.score, o.baseline_score, last.revision, last.evaluation_score, last.examples, runs.*
  FROM sigrun.programs AS p
  JOIN sigrun.program_revisions AS r ON r.project_id = p.project_id AND r.program_id = p.id AND r.number = p.newest_revision
  LEFT JOIN sigrun.optimizations AS o ON o.project_id = r.project_id AND o.id = r.optimization_id
  LEFT JOIN LATERAL (
    SELECT revision, score AS evaluation_score, examples FROM sigrun.evaluations
    WHERE project_id = p.project_id AND program_id = p.id AND status = 'completed' ORDER BY id DESC LIMIT 1
  ) AS last ON TRUE
  CROSS JOIN LATERAL (
    SELECT count(*)::integer AS count, count(*) FILTER (WHERE status = 'completed')::integer AS completed,
           coalesce(avg(duration_ms), 0)::double precision AS average_ms,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms) AS percentiles,
           coalesce(sum(input_tokens), 0)::double precision AS input_tokens,
           coalesce(sum(output_tokens), 0)::double precision AS output_tokens,
           coalesce(sum(lm_calls), 0)::double precision AS lm_calls
    FROM (
      SELECT status, duration_ms, input_tokens, output_tokens, lm_calls FROM sigrun.executions
      WHERE project_id = p.project_id AND program_id = p.id ORDER BY id DESC LIMIT ${performanceWindow}
    ) AS newest
  ) AS runs
  WHERE p.project_id = $1 AND p.id = ANY($2::uuid[])`;

type PerformanceColumns = {
  id: string;
  score: number | null;
  baseline_score: number | null;
  revision: number | null;
  evaluation_score: number;
  examples: number;
  count: number;
  completed: number;
  average_ms: number;
  percentiles: readonly number[] | null;
  input_tokens: number;
  output_tokens: number;
  lm_calls: number;
};

function performanceOf(row: PerformanceColumns): Performance {
  const { count, completed, percentiles, revision } = row;
  const [p50Ms = 0, p95Ms = 0, p99Ms = 0] = percentiles ?? [];
  return {
    score: row.score,
    baselineScore: row.baseline_score,
    evaluation: revision === null ? null : { revision, score: row.evaluation_score, examples: row.examples },
    executions: {
      count,
      successRate: count === 0 ? 0 : completed / count,
      averageMs: row.average_ms,
      ...{ p50Ms, p95Ms, p99Ms },
      inputTokens: row.input_tokens,
      outputTokens: row.output_tokens,
      lmCalls: row.lm_calls,
    },
  };
}
