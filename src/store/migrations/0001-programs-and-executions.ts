import type { Migration } from "../migrate.ts";

/**
 * Signatures, programs, their revisions, executions, and the leases of the gateways that run them.
 */
export const up: Migration = async (run) => {
  await run(`
    CREATE TABLE signatures (
      project_id uuid NOT NULL,
      id uuid NOT NULL,
      name text NOT NULL,
      instructions text NOT NULL,
      -- json, not jsonb, keeps the order of keys in a caller's default value.
      inputs json NOT NULL,
      outputs json NOT NULL,
      content_hash text NOT NULL,
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL,
      PRIMARY KEY (project_id, id),
      UNIQUE (project_id, name)
    )`);
  await run(`
    CREATE TABLE programs (
      project_id uuid NOT NULL,
      id uuid NOT NULL,
      handle text NOT NULL,
      name text NOT NULL,
      description text NOT NULL,
      labels jsonb NOT NULL,
      newest_revision integer NOT NULL CHECK (newest_revision > 0),
      deployed_revision integer CHECK (deployed_revision BETWEEN 1 AND newest_revision),
      -- Counts every change; the etag is made from it.
      version integer NOT NULL DEFAULT 1,
      request_id uuid,
      request_hash text,
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL,
      PRIMARY KEY (project_id, id),
      UNIQUE (project_id, handle),
      UNIQUE (project_id, request_id),
      CHECK ((request_id IS NULL) = (request_hash IS NULL))
    )`);
  await run(`
    CREATE TABLE program_revisions (
      project_id uuid NOT NULL,
      program_id uuid NOT NULL,
      number integer NOT NULL CHECK (number > 0),
      origin text NOT NULL CHECK (origin IN ('created', 'updated', 'optimized', 'rolled_back', 'imported')),
      status text NOT NULL CHECK (status IN ('draft', 'ready', 'optimized', 'error')),
      signature_id uuid NOT NULL,
      modules json NOT NULL,
      outputs json NOT NULL,
      lm json NOT NULL,
      -- text keeps what DSPy wrote, byte for byte.
      compiled_state text NOT NULL DEFAULT '',
      dspy_program_id text NOT NULL,
      score double precision,
      error_reason text NOT NULL DEFAULT '',
      error_message text NOT NULL DEFAULT '',
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL,
      PRIMARY KEY (project_id, program_id, number),
      FOREIGN KEY (project_id, program_id) REFERENCES programs (project_id, id) ON DELETE CASCADE,
      FOREIGN KEY (project_id, signature_id) REFERENCES signatures (project_id, id),
      CHECK ((status = 'error') = (error_reason <> ''))
    )`);
  await run("CREATE INDEX ON program_revisions (project_id, signature_id)");
  // Deferred, because a program and its first revision refer to each other.
  await run(`
    ALTER TABLE programs
      ADD FOREIGN KEY (project_id, id, newest_revision) REFERENCES program_revisions (project_id, program_id, number) DEFERRABLE INITIALLY DEFERRED,
      ADD FOREIGN KEY (project_id, id, deployed_revision) REFERENCES program_revisions (project_id, program_id, number) DEFERRABLE INITIALLY DEFERRED`);
  await run(`
    CREATE TABLE executions (
      project_id uuid NOT NULL,
      -- UUIDv7: its order is the order of creation.
      id uuid NOT NULL,
      program_id uuid NOT NULL,
      revision integer NOT NULL,
      status text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
      inputs jsonb NOT NULL,
      outputs jsonb,
      error_reason text NOT NULL DEFAULT '',
      error_message text NOT NULL DEFAULT '',
      violations json NOT NULL DEFAULT '[]',
      steps json NOT NULL DEFAULT '[]',
      input_tokens bigint NOT NULL DEFAULT 0,
      output_tokens bigint NOT NULL DEFAULT 0,
      cached_tokens bigint NOT NULL DEFAULT 0,
      lm_calls bigint NOT NULL DEFAULT 0,
      model text NOT NULL DEFAULT '',
      labels jsonb NOT NULL DEFAULT '{}',
      -- A request_id belongs to one method.
      request_method text,
      request_id uuid,
      request_hash text,
      -- The gateway process that runs it; null for a run outside sigrun.
      runner_id uuid,
      started_at timestamptz,
      completed_at timestamptz,
      duration_ms bigint CHECK (duration_ms >= 0),
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL,
      PRIMARY KEY (project_id, id),
      FOREIGN KEY (project_id, program_id, revision) REFERENCES program_revisions (project_id, program_id, number) ON DELETE CASCADE,
      UNIQUE (project_id, request_method, request_id),
      CHECK ((request_id IS NULL) = (request_hash IS NULL) AND (request_id IS NULL) = (request_method IS NULL)),
      CHECK ((status = 'pending') = (started_at IS NULL) OR status IN ('failed', 'cancelled')),
      CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
      CHECK ((status = 'completed') = (outputs IS NOT NULL)),
      CHECK ((status IN ('failed', 'cancelled')) = (error_reason <> ''))
    )`);
  await run("CREATE INDEX executions_of_program ON executions (project_id, program_id, id DESC)");
  await run("CREATE INDEX executions_running ON executions (runner_id) WHERE status = 'running'");
  // A gateway renews its lease while it runs executions. After the lease has expired, the runs are
  // swept. Leases belong to no project, because no caller sees them.
  await run("CREATE TABLE leases (runner_id uuid PRIMARY KEY, expires_at timestamptz NOT NULL)");
};
