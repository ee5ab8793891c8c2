// npm run bench:store measures the median time of each kind of query over 10,000, 100,000 and
// 1,000,000 executions, and its growth.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { v7 as uuidv7 } from "uuid";
import { readDatabaseUrl } from "../src/database-url/read.ts";
import { readGroupings } from "../src/domain/query/aggregate.ts";
import { readCondition } from "../src/domain/query/condition.ts";
import { type AskedList, readListing } from "../src/domain/query/listing.ts";
import { turnPage } from "../src/domain/query/page.ts";
import { executionFields, programFields } from "../src/domain/query/queryable.ts";
import { startEmbeddedPostgres } from "../src/store/postgres.ts";
import { openStore, type Store } from "../src/store/store.ts";
import { createLogger } from "../src/telemetry.ts";

const project = "00000000-0000-0000-0000-000000000000";
const sizes = [10_000, 100_000, 1_000_000];
/** Queries that warm up the caches and the compiler, and are not counted. */
const warmUps = 5;
const rounds = 100;
const maxMs = 30_000;
const log = createLogger("error");
const dataDir = mkdtempSync(join(tmpdir(), "sigrun-bench-"));
const postgres = await startEmbeddedPostgres({ dataDir, log });
const admin = new pg.Client(postgres.url);

/** A schema with `size` executions of twenty programs. */
type Filled = { readonly size: number; readonly store: Store; readonly programs: readonly string[] };

/**
 * Fills in executions of twenty programs, seven seconds apart, from ninety days ago on. 3 in 100
 * have failed. The log of changes stays empty.
 */
async function fill(size: number): Promise<Filled> {
  const schema = `of_${size}`;
  const store = await openStore({
    database: readDatabaseUrl(postgres.url, {}),
    direct: undefined,
    isPooled: false,
    schema,
    pool: 4,
    log,
  });
  const programs = await createPrograms(store);
  await admin.query(`SET search_path TO ${schema}; SET synchronous_commit = off; SET work_mem = '64MB'`);
  await admin.query("ALTER TABLE executions DISABLE TRIGGER USER");
  for (let first = 0; first < size; first += 50_000)
    await admin.query(
      `INSERT INTO executions (project_id, id, program_id, revision, status, inputs, outputs, error_reason, model, labels, input_tokens,
         output_tokens, lm_calls, started_at, completed_at, duration_ms, updated_at, request_method, request_id, request_hash)
       SELECT $1, (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0')
           || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
         (SELECT programs[1 + n % 20] FROM (SELECT $4::uuid[] AS programs) AS all_programs), 1, CASE WHEN n % 100 < 3 THEN 'failed' ELSE 'completed' END,
         jsonb_build_object('question', 'What is ' || md5(n::text) || ' of ' || n % 1000 || '?', 'n', n),
         CASE WHEN n % 100 >= 3 THEN jsonb_build_object('answer', md5((n * 7)::text), 'confidence', (n * 31 % 1000) / 1000.0) END,
         CASE WHEN n % 100 < 3 THEN (ARRAY['LM_RATE_LIMITED', 'OUTPUT_INVALID', 'LM_UNAVAILABLE'])[1 + n % 3] ELSE '' END,
         'openai/model-' || n % 3, jsonb_build_object('team', 't' || n % 50) || CASE WHEN n = 4711 THEN '{"alone": "yes"}' ELSE '{}' END::jsonb,
         n % 900, n % 300, 1, made, made, n * 17 % 5000, made,
         'execute', md5(n::text)::uuid, ''
       FROM generate_series($2::bigint, $3::bigint - 1) AS n, LATERAL (SELECT now() - interval '90 days' + n * interval '7 seconds' AS made) AS time`,
      [project, first, Math.min(first + 50_000, size), programs],
    );
  await admin.query("ALTER TABLE executions ENABLE TRIGGER USER");
  await admin.query("VACUUM ANALYZE executions");
  return { size, store, programs };
}

async function createPrograms(store: Store): Promise<string[]> {
  const signature = { name: "Asked", instructions: "", inputs: [], outputs: [] };
  const definition = { signature, modules: [], outputs: [], lm: {}, compiledState: "" };
  const revision = {
    origin: "created",
    status: "ready",
    definition,
    dspyProgramId: "",
    score: null,
  } as never;
  const ids = Array.from({ length: 20 }, () => uuidv7());
  for (const [place, id] of ids.entries()) {
    const words = { handle: `program-${place}`, name: "Asked", description: "", labels: {} };
    await store.programs.create(project, { id, ...words, request: null, revision });
  }
  return ids;
}

const asked: AskedList = { filter: "", orderBy: "", skip: 0, countTotal: false, pageSize: 0, pageToken: "" };

async function list({ executions }: Store, more: Partial<AskedList> = {}): Promise<string> {
  const { listing, query } = readListing({ ...asked, ...more }, executionFields, []);
  const [found] = await Promise.all([
    executions.find(project, { ...listing, limit: listing.limit + 1 }, false),
    more.countTotal ? executions.count(project, listing) : 0,
  ]);
  return turnPage(found, listing, query).nextPageToken;
}

async function listPrograms({ programs }: Store): Promise<void> {
  await programs.find(project, readListing(asked, programFields, []).listing, {
    withState: false,
    latest: 5,
  });
}

const began = Date.now() - 90 * 86_400_000;
const hour = (hours: number) => new Date(began + hours * 3_600_000).toISOString();
const flat = true;
const grows = false;

type Question = [kind: string, isFlat: boolean, ask: () => Promise<unknown>];

/** Kinds of queries: first those that do not grow with the table, then those that read all rows. */
async function questions({ size, store, programs }: Filled): Promise<Question[]> {
  const { rows } = await admin.query(
    `SELECT id, request_id, outputs->>'answer' AS answer FROM of_${size}.executions WHERE status = 'completed' ORDER BY id OFFSET 5000 LIMIT 1`,
  );
  const { id, answer, request_id: requestId } = rows[0] as { id: string; answer: string; request_id: string };
  let hundredth = "";
  for (let page = 1; page < 100; page++) hundredth = await list(store, { pageToken: hundredth });
  const aggregate = (filter: string, ...names: string[]) =>
    store.executions.aggregate(project, readCondition(filter, executionFields), readGroupings(names));
  const filtered = (kind: string, filter: string, isFlat = flat): Question => [
    kind,
    isFlat,
    () => list(store, { filter }),
  ];
  return [
    ["by key", flat, () => store.executions.get(project, id)],
    ["first page", flat, () => list(store)],
    ["hundredth page", flat, () => list(store, { pageToken: hundredth })],
    filtered("program_id", `program_id = ${programs[3]}`),
    filtered("program_id by handle", "program_id = program-7"),
    filtered("status", "status = FAILED"),
    filtered("status that none has", "status = RUNNING"),
    filtered("program_id and status", `program_id = ${programs[1]} AND status = FAILED`),
    filtered("error_reason", "error_reason = LM_RATE_LIMITED"),
    filtered("created_at, an hour of", `created_at >= ${hour(1)} AND created_at < ${hour(2)}`),
    filtered("request_id", `request_id = ${requestId}`),
    filtered("labels.team, one in 50", "labels.team = t7"),
    filtered("labels.alone, one in all", "labels.alone = yes"),
    filtered("outputs.answer =", `outputs.answer = "${answer}"`),
    filtered("inputs.n =", "inputs.n = 4711"),
    ["by duration_ms", flat, () => list(store, { orderBy: "duration_ms desc" })],
    [
      "duration_ms >, by duration_ms",
      flat,
      () => list(store, { filter: "duration_ms > 4s", orderBy: "duration_ms" }),
    ],
    ["programs, 5 executions of each", flat, () => listPrograms(store)],
    filtered("duration_ms >, newest first", "duration_ms > 4.99s", grows),
    filtered("outputs.confidence >", "outputs.confidence > 0.9", grows),
    filtered("inputs.question : (in none)", 'inputs.question : "of nothing"', grows),
    filtered("model that none has", "model = nobodys", grows),
    ["count_total", grows, () => list(store, { countTotal: true })],
    ["skip 5,000", grows, () => list(store, { skip: 5_000 })],
    ["distinct_on program_id", grows, () => list(store, { distinctOn: ["program_id"] })],
    ["distinct_on labels.team", grows, () => list(store, { distinctOn: ["labels.team"] })],
    ["aggregate by status", grows, () => aggregate("", "status")],
    ["aggregate of one program by day", grows, () => aggregate(`program_id = ${programs[3]}`, "day")],
  ];
}

/** The median time at each size. The sizes take turns, so that a busy moment hits all of them. */
async function medians(asks: readonly (() => Promise<unknown>)[]): Promise<number[]> {
  const times: number[][] = asks.map(() => []);
  const began = performance.now();
  for (let round = 0; round < rounds && (round < 2 * warmUps || performance.now() - began < maxMs); round++)
    for (const [place, ask] of asks.entries()) {
      const from = performance.now();
      await ask();
      if (round >= warmUps) times[place]?.push(performance.now() - from);
    }
  return times.map((all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)] as number);
}

const stores: Store[] = [];
try {
  await admin.connect();
  const questionsBySize: Question[][] = [];
  for (const size of sizes) {
    const began = performance.now();
    const filled = await fill(size);
    stores.push(filled.store);
    questionsBySize.push(await questions(filled));
    console.error(
      `${size.toLocaleString("en")} executions, filled in ${Math.round((performance.now() - began) / 1000)} s`,
    );
  }
  await admin.query("CHECKPOINT");
  console.log(
    `${"median ms".padEnd(34)}${sizes.map((size) => size.toLocaleString("en").padStart(12)).join("")}${"growth".padStart(10)}`,
  );
  for (const [place, [kind, isFlat]] of (questionsBySize[0] ?? []).entries()) {
    const times = await medians(questionsBySize.map((of) => of[place]?.[2] as Question[2]));
    const growth = (times.at(-1) as number) / (times[0] as number);
    const verdict = isFlat ? (growth <= 1.5 ? "flat" : "GROWS") : "";
    console.log(
      `${kind.padEnd(34)}${times.map((time) => time.toFixed(2).padStart(12)).join("")}${`${growth.toFixed(2)}x`.padStart(10)}  ${verdict}`,
    );
  }
} finally {
  await admin.end();
  for (const store of stores) await store.close();
  await postgres.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
