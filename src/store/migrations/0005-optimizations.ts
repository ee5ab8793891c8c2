import type { Migration } from "../migrate.ts";

/** Optimizations, their link from revisions, and evaluations. */
export const up: Migration = async (run) => {
  const createdWithId = `timestamptz NOT NULL GENERATED ALWAYS AS
    (to_timestamp((('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)::double precision)) STORED`;
  await run(`
    CREATE TABLE optimizations (
      project_id uuid NOT NULL,
      -- UUIDv7: its order is the order of creation.
      id uuid NOT NULL,
      program_id uuid NOT NULL,
      base_revision integer NOT NULL,
      optimizer text NOT NULL,
      metrics json NOT NULL,
      config jsonb NOT NULL,
      seed bigint NOT NULL,
      budget json NOT NULL,
      keep_worse boolean NOT NULL,
      lms json NOT NULL,
      labels jsonb NOT NULL,
      -- json, not jsonb, keeps the order of keys in a caller's value.
      trainset json NOT NULL,
      valset json NOT NULL,
      trainset_size integer NOT NULL CHECK (trainset_size > 0),
      valset_size integer NOT NULL CHECK (valset_size > 0),
      status text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
      -- Counts attempts and is their fence: every write names its attempt.
      attempt integer NOT NULL DEFAULT 0,
      -- Attempts that did not die but were handed to another gateway.
      handed_over integer NOT NULL DEFAULT 0 CHECK (handed_over <= attempt),
      phase text NOT NULL DEFAULT '',
      message text NOT NULL DEFAULT '',
      fraction double precision,
      best_score double precision,
      baseline_score double precision,
      score double precision,
      revision integer,
      error_reason text NOT NULL DEFAULT '',
      error_message text NOT NULL DEFAULT '',
      input_tokens bigint NOT NULL DEFAULT 0,
      output_tokens bigint NOT NULL DEFAULT 0,
      cached_tokens bigint NOT NULL DEFAULT 0,
      lm_calls bigint NOT NULL DEFAULT 0,
      request_id uuid,
      request_hash text,
      started_at timestamptz,
      completed_at timestamptz,
      updated_at timestamptz NOT NULL DEFAULT now(),
      created_at ${createdWithId},
      PRIMARY KEY (project_id, id),
      FOREIGN KEY (project_id, program_id, base_revision) REFERENCES program_revisions (project_id, program_id, number) ON DELETE CASCADE,
      FOREIGN KEY (project_id, program_id, revision) REFERENCES program_revisions (project_id, program_id, number) ON DELETE CASCADE,
      UNIQUE (project_id, request_id),
      CHECK ((request_id IS NULL) = (request_hash IS NULL)),
      CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
      CHECK ((status IN ('failed', 'cancelled')) = (error_reason <> '')),
      CHECK ((status = 'completed') = (score IS NOT NULL)),
      CHECK (revision IS NULL OR status = 'completed')
    )`);
  await run("CREATE INDEX optimizations_of_program ON optimizations (project_id, program_id, id DESC)");
  await run("CREATE INDEX optimizations_by_status ON optimizations (project_id, status, id DESC)");
  // No foreign key: a revision may outlive the record of its optimization.
  await run("ALTER TABLE program_revisions ADD COLUMN optimization_id uuid");
  await run(`
    CREATE TABLE evaluations (
      project_id uuid NOT NULL,
      id uuid NOT NULL,
      program_id uuid NOT NULL,
      revision integer NOT NULL,
      metrics json NOT NULL,
      status text NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
      -- Number of examples to score, then of those that were scored.
      examples integer NOT NULL CHECK (examples > 0),
      scored integer NOT NULL DEFAULT 0 CHECK (scored <= examples),
      failures integer NOT NULL DEFAULT 0 CHECK (failures <= scored),
      -- Mean over the examples that were scored.
      score double precision,
      metric_scores json NOT NULL DEFAULT '{}',
      error_reason text NOT NULL DEFAULT '',
      input_tokens bigint NOT NULL DEFAULT 0,
      output_tokens bigint NOT NULL DEFAULT 0,
      cached_tokens bigint NOT NULL DEFAULT 0,
      lm_calls bigint NOT NULL DEFAULT 0,
      -- The gateway process that runs it.
      runner_id uuid NOT NULL,
      completed_at timestamptz,
      created_at ${createdWithId},
      PRIMARY KEY (project_id, id),
      FOREIGN KEY (project_id, program_id, revision) REFERENCES program_revisions (project_id, program_id, number) ON DELETE CASCADE,
      CHECK ((status = 'running') = (completed_at IS NULL)),
      CHECK ((status IN ('failed', 'cancelled')) = (error_reason <> ''))
    )`);
  await run("CREATE INDEX evaluations_of_program ON evaluations (project_id, program_id, id DESC)");
  await run("CREATE INDEX evaluations_running ON evaluations (runner_id) WHERE status = 'running'");
};
