// npm run bench:store: the median time of each kind of question over 10,000, 100,000 and 1,000,000 executions, and its growth.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { v7 as uuidv7 } from "uuid";
import { readGroupings } from "../src/domain/aggregate.ts";
import { readCondition } from "../src/domain/condition.ts";
import { type AskedList, readListing } from "../src/domain/listing.ts";
import { turnPage } from "../src/domain/page.ts";
import { executionFields } from "../src/domain/queryable.ts";
import { startEmbeddedPostgres } from "../src/store/postgres.ts";
import { openStore, type Store } from "../src/store/store.ts";
import { createLogger } from "../src/telemetry.ts";

const project = "00000000-0000-0000-0000-000000000000";
const sizes = [10_000, 100_000, 1_000_000];
const asks = 40;
const log = createLogger("error");
const dataDir = mkdtempSync(join(tmpdir(), "sigrun-bench-"));
const postgres = await startEmbeddedPostgres({ dataDir, log });
const store = await openStore({ url: postgres.url, schema: "public", pool: 4, log });
const admin = new pg.Client(postgres.url);

/** Runs of twenty programs, seven seconds apart, from ninety days ago on, of which 3 in 100 failed, without the log of changes. */
async function fill(from: number, to: number): Promise<void> {
  await admin.query("ALTER TABLE executions DISABLE TRIGGER USER; SET synchronous_commit = off; SET work_mem = '64MB'");
  for (let first = from; first < to; first += 50_000)
    await admin.query(
      `INSERT INTO executions (project_id, id, program_id, revision, status, inputs, outputs, error_reason, model, labels, input_tokens,
         output_tokens, lm_calls, started_at, completed_at, duration_ms, updated_at)
       SELECT $1, (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
         (SELECT programs[1 + n % 20] FROM (SELECT $4::uuid[] AS programs) AS all_programs), 1, CASE WHEN n % 100 < 3 THEN 'failed' ELSE 'completed' END,
         jsonb_build_object('question', 'What is ' || md5(n::text) || ' of ' || n % 1000 || '?', 'n', n),
         CASE WHEN n % 100 >= 3 THEN jsonb_build_object('answer', md5((n * 7)::text), 'confidence', (n * 31 % 1000) / 1000.0) END,
         CASE WHEN n % 100 < 3 THEN (ARRAY['LM_RATE_LIMITED', 'OUTPUT_INVALID', 'LM_UNAVAILABLE'])[1 + n % 3] ELSE '' END,
         'openai/model-' || n % 3, jsonb_build_object('team', 't' || n % 50), n % 900, n % 300, 1, made, made, n * 17 % 5000, made
       FROM generate_series($2::bigint, $3::bigint - 1) AS n, LATERAL (SELECT now() - interval '90 days' + n * interval '7 seconds' AS made) AS time`,
      [project, first, Math.min(first + 50_000, to), programs],
    );
  await admin.query("ALTER TABLE executions ENABLE TRIGGER USER");
  await admin.query("VACUUM ANALYZE executions");
}

const asked: AskedList = { filter: "", orderBy: "", skip: 0, countTotal: false, pageSize: 0, pageToken: "" };

async function list({ executions }: Store, more: Partial<AskedList> = {}): Promise<string> {
  const { listing, query } = readListing({ ...asked, ...more }, executionFields, []);
  const [found] = await Promise.all([
    executions.find(project, { ...listing, limit: listing.limit + 1 }, false),
    more.countTotal ? executions.count(project, listing) : 0,
  ]);
  return turnPage(found, listing, query, ({ keys }) => keys).nextPageToken;
}

const began = Date.now() - 90 * 86_400_000;
const hour = (hours: number) => new Date(began + hours * 3_600_000).toISOString();

const programs: string[] = [];
for (let left = 20; left > 0; left--) {
  const id = uuidv7();
  const definition = {
    signature: { name: "Asked", instructions: "", inputs: [], outputs: [] },
    modules: [],
    outputs: [],
    lm: {},
    compiledState: "",
  };
  const revision = { origin: "created", status: "ready", definition, dspyProgramId: "", score: null } as never;
  await store.programs.create(project, {
    id,
    handle: `program-${left}`,
    name: "Asked",
    description: "",
    labels: {},
    request: null,
    revision,
  });
  programs.push(id);
}

const aggregate = (filter: string, ...names: string[]) =>
  store.executions.aggregate(project, readCondition(filter, executionFields), readGroupings(names));

/** The kinds of questions: those that stay flat as rows are added, then those that grow with the rows they read. */
async function questions(): Promise<[kind: string, isFlat: boolean, ask: () => Promise<unknown>][]> {
  const { rows } = await admin.query(
    "SELECT id, outputs->>'answer' AS answer FROM executions WHERE status = 'completed' ORDER BY id OFFSET 5000 LIMIT 1",
  );
  const { id, answer } = rows[0] as { id: string; answer: string };
  let hundredth = "";
  for (let page = 1; page < 100; page++) hundredth = await list(store, { pageToken: hundredth });
  return [
    ["by key", true, () => store.executions.get(project, id)],
    ["first page", true, () => list(store)],
    ["hundredth page", true, () => list(store, { pageToken: hundredth })],
    ["program_id", true, () => list(store, { filter: `program_id = ${programs[3]}` })],
    ["program_id by handle", true, () => list(store, { filter: "program_id = program-7" })],
    ["status", true, () => list(store, { filter: "status = FAILED" })],
    ["error_reason", true, () => list(store, { filter: "error_reason = LM_RATE_LIMITED" })],
    ["created_at, an hour of", true, () => list(store, { filter: `created_at >= ${hour(1)} AND created_at < ${hour(2)}` })],
    ["by duration_ms", true, () => list(store, { orderBy: "duration_ms desc" })],
    ["labels.team", true, () => list(store, { filter: "labels.team = t7" })],
    ["outputs.answer =", true, () => list(store, { filter: `outputs.answer = "${answer}"` })],
    ["inputs.n =", true, () => list(store, { filter: "inputs.n = 4711" })],
    ["outputs.confidence >", true, () => list(store, { filter: "outputs.confidence > 0.9" })],
    ["inputs.question : (rare)", false, () => list(store, { filter: `inputs.question : "of 77?"` })],
    ["count_total", false, () => list(store, { countTotal: true })],
    ["skip 5,000", false, () => list(store, { skip: 5_000 })],
    ["distinct_on program_id", false, () => list(store, { distinctOn: ["program_id"] })],
    ["aggregate by status", false, () => aggregate("", "status")],
    ["aggregate of one program by day", false, () => aggregate(`program_id = ${programs[3]}`, "day")],
  ];
}

async function median(ask: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  const began = performance.now();
  while (times.length < asks && (times.length < 5 || performance.now() - began < 10_000)) {
    const from = performance.now();
    await ask();
    times.push(performance.now() - from);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
}

try {
  await admin.connect();
  const found = new Map<string, { isFlat: boolean; times: number[] }>();
  let filled = 0;
  for (const size of sizes) {
    const began = performance.now();
    await fill(filled, size);
    console.error(`${size.toLocaleString("en")} executions, filled in ${Math.round((performance.now() - began) / 1000)} s`);
    filled = size;
    for (const [kind, isFlat, ask] of await questions()) {
      const { times } = found.get(kind) ?? { times: [] };
      found.set(kind, { isFlat, times: [...times, await median(ask)] });
    }
  }
  console.log(`${"median ms".padEnd(34)}${sizes.map((size) => size.toLocaleString("en").padStart(12)).join("")}${"growth".padStart(10)}`);
  for (const [kind, { isFlat, times }] of found) {
    const growth = (times.at(-1) as number) / (times[0] as number);
    const verdict = isFlat ? (growth <= 1.5 ? "flat" : "GROWS") : "";
    console.log(
      `${kind.padEnd(34)}${times.map((time) => time.toFixed(2).padStart(12)).join("")}${`${growth.toFixed(2)}x`.padStart(10)}  ${verdict}`,
    );
  }
} finally {
  await admin.end();
  await store.database.close();
  await postgres.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
