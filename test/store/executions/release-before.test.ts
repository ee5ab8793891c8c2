import test from "ava";
import { v7 as uuidv7 } from "uuid";
import { runSql } from "../../_database.ts";
import { shared } from "../../_gateway.ts";
import { fill, project } from "../_rows.ts";

// During an upgrade, gateways of the release before serve on the schema of this release. These are
// the statements of the release before migration 0006.
const insertSql = `
  INSERT INTO executions (project_id, id, program_id, revision, inputs, model, labels, request_method, request_id, request_hash, started_at,
    status, runner_id, updated_at)
  SELECT run.project_id, run.id, run.program_id, run.revision, run.inputs, run.model, run.labels, run.request_method, run.request_id,
    run.request_hash, run.started_at, 'running', $2::uuid, run.started_at
  FROM jsonb_to_recordset($1::jsonb) AS run (project_id uuid, id uuid, program_id uuid, revision integer, inputs jsonb, model text, labels jsonb,
    request_method text, request_id uuid, request_hash text, started_at timestamptz, must_be_current boolean)
  JOIN programs AS program ON program.project_id = run.project_id AND program.id = run.program_id
       AND (NOT run.must_be_current OR coalesce(program.deployed_revision, program.newest_revision) = run.revision)
  ON CONFLICT (project_id, request_method, request_id) DO NOTHING
  RETURNING id`;
const updateSql = `
  UPDATE executions AS e
  SET status = run.status, outputs = run.outputs, error_reason = run.error_reason, error_message = run.error_message,
    violations = run.violations, steps = run.steps, input_tokens = run.input_tokens, output_tokens = run.output_tokens,
    cached_tokens = run.cached_tokens, lm_calls = run.lm_calls, model = coalesce(nullif(run.model, ''), e.model),
    completed_at = run.completed_at, duration_ms = run.duration_ms, updated_at = run.completed_at
  FROM jsonb_to_recordset($1::jsonb) AS run (project_id uuid, id uuid, status text, outputs jsonb, error_reason text, error_message text,
    violations json, steps json, input_tokens bigint, output_tokens bigint, cached_tokens bigint, lm_calls bigint, model text,
    completed_at timestamptz, duration_ms bigint)
  WHERE e.project_id = run.project_id AND e.id = run.id AND e.completed_at IS NULL AND e.runner_id IS NOT DISTINCT FROM $2::uuid
    AND run.status IN ('completed', 'failed', 'cancelled') AND run.duration_ms >= 0
  RETURNING e.id`;

const file = shared(test);

test("a gateway of the release before records its runs on this schema, as first attempts", async (t) => {
  const schema = "release_before";
  const { url, store } = await fill(file, { schema, handles: ["old"], count: 1 });
  const { id: programId } = await store.programs.get(project, "old");
  const cursor = await store.changeLog.now();
  const [id, runner] = [uuidv7(), uuidv7()];
  const started = {
    ...{ project_id: project, id, program_id: programId, revision: 1, inputs: { question: "?" } },
    ...{ model: "openai/a", labels: {}, request_method: "execute", request_id: uuidv7(), request_hash: "h" },
    ...{ started_at: new Date(), must_be_current: true },
  };
  await runSql(url, schema, insertSql, [JSON.stringify([started]), runner]);
  const ended = {
    ...{ project_id: project, id, status: "completed", outputs: { answer: "!" }, error_reason: "" },
    ...{ error_message: "", violations: [], steps: [], input_tokens: 3, output_tokens: 2, cached_tokens: 0 },
    ...{ lm_calls: 1, model: "", completed_at: new Date(), duration_ms: 5 },
  };
  await runSql(url, schema, updateSql, [JSON.stringify([ended]), runner]);
  t.like(await store.executions.get(project, id), {
    attempt: 1,
    status: "completed",
    outputs: { answer: "!" },
    tokenUsage: { inputTokens: 3, outputTokens: 2, cachedTokens: 0, lmCalls: 1 },
  });
  const { changes } = await store.changeLog.read(project, cursor, null, true);
  t.deepEqual(
    changes.map((change) => "execution" in change && [change.execution.status, change.execution.attempt]),
    [
      ["running", 1],
      ["completed", 1],
    ],
  );
});
