import { inspect } from "node:util";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import fc from "fast-check";
import { type Program, type Revision, statusOf } from "../../src/domain/program/revision.ts";
import { readListing } from "../../src/domain/query/listing.ts";
import type { Found } from "../../src/domain/query/page.ts";
import {
  programFields,
  type Fields as QueryFields,
  revisionFields,
} from "../../src/domain/query/queryable.ts";
import { runSql } from "../_database.ts";
import { shared } from "../_gateway.ts";
import { compareRows, type Fields, meets } from "../store/_evaluate.ts";
import { programFilter, revisionFilter } from "../store/_filters.ts";
import { type Filled, fill, project, text, times } from "../store/_rows.ts";

const test = anyTest as TestFn<Filled>;
const file = shared(anyTest);
const schema = "programs_asked";
const handles = Array.from({ length: 40 }, (_, place) => `asked-${place}`);

test.before(async (t) => {
  const filled = await fill(file, { schema, handles, count: 1 });
  t.context = filled;
  const status = fc.constantFrom("draft", "ready", "optimized", "error");
  const score = fc.constantFrom(null, 0, 0.1, 0.25, 0.5, 1);
  const revision = fc.record({ status, score, message: text, created_at: fc.constantFrom(...times) });
  const program = fc.record({ description: text, team: fc.option(text), isDeployed: fc.boolean(), revision });
  const programs = fc
    .sample(program, { numRuns: handles.length, seed: 11 })
    .map((one, place) => ({ ...one, handle: handles[place] }));
  await runSql(
    filled.url,
    schema,
    `UPDATE programs SET description = one->>'description', deployed_revision = CASE WHEN (one->>'isDeployed')::boolean THEN 1 END,
       labels = jsonb_strip_nulls(jsonb_build_object('team', one->'team')), created_at = (one#>>'{revision,created_at}')::timestamptz
     FROM jsonb_array_elements($1::jsonb) AS one WHERE handle = one->>'handle'`,
    [JSON.stringify(programs)],
  );
  await runSql(
    filled.url,
    schema,
    `UPDATE program_revisions SET status = one#>>'{revision,status}', score = (one#>>'{revision,score}')::double precision,
       ${errorSql("one#>>'{revision,status}'", "one#>>'{revision,message}'")}
     FROM jsonb_array_elements($1::jsonb) AS one JOIN programs ON handle = one->>'handle' WHERE program_id = id`,
    [JSON.stringify(programs)],
  );
  const revisions = fc.sample(revision, { numRuns: 30, seed: 12 }).map((one, place) => ({
    ...one,
    number: place + 2,
    origin: ["updated", "optimized", "rolled_back"][place % 3],
  }));
  await runSql(
    filled.url,
    schema,
    `INSERT INTO program_revisions (project_id, program_id, number, origin, status, signature_id, modules, outputs, lm, dspy_program_id, score,
       error_reason, error_message, created_at, updated_at)
     SELECT first.project_id, program_id, one.number, one.origin, one.status, signature_id, modules, outputs, lm, dspy_program_id, one.score,
       CASE WHEN one.status = 'error' THEN 'PROGRAM_INVALID' ELSE '' END, one.message, one.created_at, one.created_at
     FROM jsonb_to_recordset($1::jsonb) AS one (number integer, origin text, status text, score double precision, message text, created_at timestamptz),
       program_revisions AS first JOIN programs ON program_id = id WHERE handle = 'asked-0' AND first.number = 1`,
    [JSON.stringify(revisions)],
  );
});

function errorSql(status: string, message: string): string {
  return `error_reason = CASE WHEN ${status} = 'error' THEN 'PROGRAM_INVALID' ELSE '' END, error_message = ${message}`;
}

const timeOf = (date: Date) => date.toISOString().replace("Z", "000Z");

function programRow(program: Program): Fields {
  const { id, handle, name, description, labels, deployedRevision, newest, createdAt, updatedAt } = program;
  const own = {
    id,
    handle,
    name,
    description,
    labels,
    created_at: timeOf(createdAt),
    updated_at: timeOf(updatedAt),
  };
  const metrics = newest.score === null ? null : { score: newest.score };
  return {
    ...revisionRow(newest),
    ...own,
    status: statusOf(program),
    revision: newest.number,
    deployed_revision: deployedRevision,
    performance_metrics: metrics,
  };
}

function revisionRow({
  number,
  origin,
  status,
  score,
  errorReason,
  errorMessage,
  signatureId,
  dspyProgramId,
  createdAt,
}: Revision): Fields {
  const error = { error_reason: errorReason, error_message: errorMessage };
  return {
    number,
    origin,
    status,
    score,
    ...error,
    signature_id: signatureId,
    dspy_program_id: dspyProgramId,
    created_at: timeOf(createdAt),
  };
}

const request = { filter: "", orderBy: "", skip: 0, countTotal: false, pageSize: 1_000, pageToken: "" };
type Source<Row> = {
  fields: QueryFields;
  key: "id" | "number";
  filter: fc.Arbitrary<string>;
  rowOf(row: Row): Fields;
};

/** Compares what filters find in the store with their evaluation in memory. */
async function compareFilters<Row>(
  t: ExecutionContext<Filled>,
  find: (listing: ReturnType<typeof readListing>["listing"]) => Promise<Found<Row>[]>,
  { fields, key, filter, rowOf }: Source<Row>,
) {
  const read = async (text: string) => {
    const { listing } = readListing({ ...request, filter: text }, fields, [], key);
    return { listing, rows: (await find(listing)).map(({ row }) => rowOf(row)) };
  };
  const { rows: all } = await read("");
  let some = 0;
  await fc.assert(
    fc.asyncProperty(filter, async (text) => {
      const { listing, rows } = await read(text);
      const expected = all
        .filter((one) => meets(listing.where, one))
        .sort((a, b) => compareRows(listing.order, a, b));
      if (inspect(rows.map((one) => one[key])) !== inspect(expected.map((one) => one[key])))
        throw new Error(`${text}: ${rows.length} in PostgreSQL, ${expected.length} in memory`);
      if (expected.length > 0 && expected.length < all.length) some++;
    }),
    { numRuns: 1_500, seed: 9 },
  );
  t.log(`${some} of 1,500 filters found some of ${all.length} and not all`);
  t.true(some > 400);
}

test("every filter of programs finds the same programs as its evaluation in memory", async (t) => {
  t.timeout(240_000);
  const { programs } = t.context.store;
  const rowOf = ({ program }: { program: Program }) => programRow(program);
  const find = (listing: Parameters<typeof programs.find>[1]) =>
    programs.find(project, listing, { withState: false, latest: 0 });
  await compareFilters(t, find, { fields: programFields, key: "id", filter: programFilter, rowOf });
});

test("every filter of revisions finds the same revisions as its evaluation in memory", async (t) => {
  t.timeout(240_000);
  const { revisions } = t.context.store;
  const { id } = await t.context.store.programs.get(project, "asked-0");
  const find = (listing: Parameters<typeof revisions.find>[2]) => revisions.find(project, id, listing);
  await compareFilters(t, find, {
    fields: revisionFields,
    key: "number",
    filter: revisionFilter,
    rowOf: revisionRow,
  });
});
