import fc from "fast-check";
import { v7 as uuidv7 } from "uuid";
import type { Json } from "../../src/domain/json.ts";
import type { Store } from "../../src/store/store.ts";
import { createDatabase, openStoreAt, runSql } from "../_database.ts";
import type { Teardown } from "../_gateway.ts";
import type { Fields } from "./_evaluate.ts";

// Only a few values, so that filters often match.
export const texts = [
  "",
  "rain",
  "Rain in Ulm",
  "ÄRGER",
  "ärger über x",
  "1",
  "1.5",
  "true",
  "it's",
  'say "hi"',
  "a\\b",
  "%",
  "_",
  "日本",
  "😀",
  "\uffee",
];
export const numbers = [0, 1, -1, 1.5, 0.1, 100, 1e21, 2 ** 53];
export const names = ["question", "score", "tags", "a b", "__proto__", "deep"];
export const text = fc.constantFrom(...texts);
const scalar: fc.Arbitrary<Json> = fc.oneof(
  text,
  fc.constantFrom(...numbers),
  fc.boolean(),
  fc.constant(null),
);
const member: fc.Arbitrary<Json> = fc.oneof(
  { weight: 3, arbitrary: scalar },
  fc.array(scalar, { maxLength: 3 }),
  object(fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }))),
  fc.array(fc.oneof(scalar, object(scalar), fc.array(object(scalar), { maxLength: 2 })), { maxLength: 3 }),
);

function object(value: fc.Arbitrary<Json>): fc.Arbitrary<{ [name: string]: Json }> {
  const entries = fc.uniqueArray(fc.tuple(fc.constantFrom(...names), value), {
    selector: ([name]) => name,
    maxLength: 4,
  });
  return entries.map((found) => Object.fromEntries(found));
}

export const times = [
  "2026-11-24T10:00:00.000000Z",
  "2026-11-24T10:00:00.001000Z",
  "2026-11-24T11:00:00.000000Z",
  "1999-12-31T23:59:59.999000Z",
];
export const labelKeys = ["team", "a.b", "x-y"];

/** An execution's row by the names of its columns, with the fields that callers may query. */
export function row(programs: readonly string[]) {
  const time = fc.constantFrom(...times);
  return fc
    .record({
      program_id: fc.constantFrom(...programs),
      status: fc.constantFrom("pending", "running", "completed", "failed", "cancelled"),
      inputs: object(member),
      outputs: object(member),
      steps: fc.array(
        fc.record({
          module: fc.constantFrom("predict", "Guess"),
          outputs: object(member),
          rawAnswer: text,
          finishReason: fc.constantFrom("", "stop", "length"),
        }),
        {
          maxLength: 2,
        },
      ),
      error_reason: fc.constantFrom("OUTPUT_INVALID", "LM_ERROR"),
      error_message: text,
      model: fc.constantFrom("", "openai/a", "openai/B"),
      finish_reason: fc.constantFrom("", "stop", "length"),
      labels: fc.dictionary(fc.constantFrom(...labelKeys), text),
      input_tokens: fc.constantFrom(0, 1, 100),
      output_tokens: fc.constantFrom(0, 1, 50),
      started_at: time,
      completed_at: time,
      duration_ms: fc.option(fc.constantFrom(0, 1, 1500, 60_000)),
      created_at: time,
      updated_at: time,
    })
    .map(({ created_at, ...one }) => {
      const hasEnded = one.status === "completed" || one.status === "failed" || one.status === "cancelled";
      const hasFailed = one.status === "failed" || one.status === "cancelled";
      return {
        ...one,
        id: uuidv7({ msecs: Date.parse(created_at) }),
        revision: 1,
        created_at,
        outputs: one.status === "completed" ? one.outputs : null,
        error_reason: hasFailed ? one.error_reason : "",
        started_at: one.status === "pending" ? null : one.started_at,
        completed_at: hasEnded ? one.completed_at : null,
        "token_usage.input_tokens": one.input_tokens,
        "token_usage.total_tokens": one.input_tokens + one.output_tokens,
      };
    });
}

export const project = "00000000-0000-0000-0000-000000000000";

/** A store, and the rows of the executions in it. */
export type Filled = { readonly url: string; readonly store: Store; readonly rows: readonly Fields[] };

/**
 * Opens a store with `count` executions of programs with these handles. They are always the same.
 */
export async function fill(
  t: Teardown,
  { schema, handles, count }: { schema: string; handles: string[]; count: number },
): Promise<Filled> {
  const url = await createDatabase();
  const store = await openStoreAt(url, schema, 4);
  t.teardown(() => store.close());
  const programs = await Promise.all(handles.map((handle) => createProgram(store, handle)));
  const rows = fc.sample(row(programs), { numRuns: count, seed: 7 });
  await runSql(url, schema, insertSql, [JSON.stringify(rows), project]);
  return { url, store, rows: rows.map((one) => ({ ...one, duration_seconds: one.duration_ms })) };
}

async function createProgram(store: Store, handle: string): Promise<string> {
  const id = uuidv7();
  const signature = { name: "S", instructions: "", inputs: [], outputs: [] };
  const definition = { signature, modules: [], outputs: [], lm: {}, compiledState: "" };
  const revision = {
    origin: "created",
    status: "ready",
    definition,
    dspyProgramId: "",
    score: null,
  } as never;
  await store.programs.create(project, {
    id,
    handle,
    name: handle,
    description: "",
    labels: {},
    request: null,
    revision,
  });
  return id;
}

// $1 is a list of rows, $2 their project.
const insertSql = `
  INSERT INTO executions (project_id, id, program_id, revision, status, inputs, outputs, steps, error_reason, error_message, model, finish_reason, labels,
    input_tokens, output_tokens, started_at, completed_at, duration_ms, updated_at)
  SELECT $2, id, program_id, 1, status, inputs, outputs, steps, error_reason, error_message, model, finish_reason, labels,
    input_tokens, output_tokens, started_at, completed_at, duration_ms, updated_at
  FROM jsonb_to_recordset($1::jsonb) AS run (id uuid, program_id uuid, status text, inputs jsonb, outputs jsonb, steps json, error_reason text,
    error_message text, model text, finish_reason text, labels jsonb, input_tokens bigint, output_tokens bigint, started_at timestamptz,
    completed_at timestamptz, duration_ms bigint, updated_at timestamptz)`;
