import type { TokenUsage } from "../../domain/execution.ts";
import { StoreUnavailable } from "../../domain/faults.ts";
import type { Metric } from "../../domain/optimization/optimization.ts";
import type { Database } from "../database.ts";

/** An evaluation that is about to start. */
export type EvaluationDraft = {
  readonly id: string;
  readonly programId: string;
  readonly revision: number;
  readonly metrics: readonly Metric[];
  readonly examples: number;
};

/** How an evaluation ended, whether it scored all examples or not. */
export type EvaluationEnd = {
  readonly status: "completed" | "failed" | "cancelled";
  readonly errorReason: string;
  readonly scored: number;
  readonly failures: number;
  readonly score: number | null;
  readonly metricScores: Readonly<Record<string, number>>;
  readonly tokenUsage: TokenUsage;
};

export type EvaluationStore = {
  begin(project: string, draft: EvaluationDraft): Promise<void>;
  /** Throws StoreUnavailable whatever keeps the database from taking the end: it is tried again. */
  end(project: string, id: string, end: EvaluationEnd): Promise<void>;
};

/** Records evaluations. The sweep of leases.ts ends those of a gateway that died. */
export function createEvaluationStore(database: Database, runnerId: string): EvaluationStore {
  const run = async (sql: string, bind: unknown[]) => {
    await database.rows({ sql }, bind);
  };
  return {
    begin: (project, { id, programId, revision, metrics, examples }) =>
      run(beginSql, [project, id, programId, revision, JSON.stringify(metrics), examples, runnerId]),
    end: (project, id, { status, errorReason, scored, failures, score, metricScores, tokenUsage }) => {
      const { inputTokens, outputTokens, cachedTokens, lmCalls } = tokenUsage;
      const scores = [scored, failures, score, JSON.stringify(metricScores)];
      return run(endSql, [
        project,
        id,
        status,
        errorReason,
        ...scores,
        inputTokens,
        outputTokens,
        cachedTokens,
        lmCalls,
      ]).catch((error: unknown) => {
        throw error instanceof StoreUnavailable ? error : new StoreUnavailable(error);
      });
    },
  };
}

const beginSql = `
  INSERT INTO sigrun.evaluations (project_id, id, program_id, revision, metrics, examples, runner_id, status)
  VALUES ($1, $2, $3, $4, $5, $6, $7, 'running')`;

const endSql = `
  UPDATE sigrun.evaluations
  SET status = $3, error_reason = $4, scored = $5, failures = $6, score = $7, metric_scores = $8,
      input_tokens = $9, output_tokens = $10, cached_tokens = $11, lm_calls = $12, completed_at = now()
  WHERE project_id = $1 AND id = $2 AND status = 'running'`;
