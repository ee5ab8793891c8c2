import { inspect } from "node:util";
import anyTest, { type TestFn } from "ava";
import fc from "fast-check";
import type pg from "pg";
import { readCondition } from "../../src/domain/query/condition.ts";
import { readListing } from "../../src/domain/query/listing.ts";
import { turnPage } from "../../src/domain/query/page.ts";
import { executionFields, programFields } from "../../src/domain/query/queryable.ts";
import { openStoreAt } from "../_database.ts";
import { shared } from "../_gateway.ts";
import { compareRows, keyAt, meets } from "../store/_evaluate.ts";
import { filter } from "../store/_filters.ts";
import { type Filled, fill, project } from "../store/_rows.ts";

const test = anyTest as TestFn<Filled>;
const file = shared(anyTest);
test.before(async (t) => {
  t.context = await fill(file, { schema: "queries", handles: ["one", "two"], count: 200 });
});

const request = { filter: "", orderBy: "", skip: 0, countTotal: false, pageSize: 1_000, pageToken: "" };
const idsOf = (rows: readonly { readonly id?: unknown }[]) => rows.map(({ id }) => id);

test("every filter finds the same rows as its evaluation in memory", async (t) => {
  const { store, rows } = t.context;
  t.timeout(240_000);
  const byHandle = async (handle: string) =>
    (await store.programs.get(project, handle).catch(() => null))?.id ?? "no program";
  const handles = new Map(
    await Promise.all(
      ["one", "two", "nobody"].map(async (handle) => [handle, await byHandle(handle)] as const),
    ),
  );
  let found = 0;
  let tried = 0;
  await fc.assert(
    fc.asyncProperty(filter, async (text) => {
      const { listing } = readListing({ ...request, filter: text }, executionFields, []);
      const inMemory = withIds(readCondition(text, executionFields), handles);
      const expected = rows
        .filter((one) => meets(inMemory, one))
        .sort((a, b) => compareRows(listing.order, a, b));
      const stored = await store.executions.find(project, listing, false);
      if (JSON.stringify(idsOf(stored.map(({ row }) => row))) !== JSON.stringify(idsOf(expected))) {
        const ids = new Set(idsOf(stored.map(({ row }) => row)));
        const odd = rows.find((one) => ids.has(one.id) !== expected.includes(one));
        throw new Error(
          `${text}: ${stored.length} in PostgreSQL, ${expected.length} in memory; such as ${inspect(odd)}`,
        );
      }
      if (expected.length > 0 && expected.length < rows.length) found++;
      tried++;
    }),
    { numRuns: 4_000, seed: 5 },
  );
  t.log(`${found} of ${tried} filters found some rows and not all`);
  t.true(found > tried / 3);
});

/** Replaces handles in a condition by the programs' ids. */
function withIds<T>(condition: T, handles: ReadonlyMap<string, string>): T {
  return JSON.parse(JSON.stringify(condition), (key, value) =>
    key === "value" ? (handles.get(value) ?? value) : value,
  ) as T;
}

const sortable = [
  "status",
  "model",
  "error_message",
  "duration_ms",
  "created_at",
  "completed_at",
  "program_id",
  "labels.team",
  "token_usage.total_tokens",
];
const term = fc
  .tuple(fc.constantFrom(...sortable), fc.constantFrom("", " asc", " desc"))
  .map((parts) => parts.join(""));
const orderBy = fc
  .uniqueArray(term, { selector: (one) => one.split(" ")[0], maxLength: 3 })
  .map((terms) => terms.join(", "));
const distinctOn = fc.uniqueArray(fc.constantFrom(...sortable), { maxLength: 2 });

test("pages hold every row once, in the same order as in memory, for any order_by and distinct_on", async (t) => {
  const { store, rows } = t.context;
  t.timeout(240_000);
  const page = fc.record({
    orderBy,
    distinctOn,
    pageSize: fc.integer({ min: 7, max: 90 }),
    skip: fc.constantFrom(0, 0, 5),
  });
  await fc.assert(
    fc.asyncProperty(page, async ({ skip, ...one }) => {
      const query = { ...request, ...one };
      const read: unknown[] = [];
      let pageToken = "";
      do {
        // skip counts from the first page only.
        const { listing, query: of } = readListing(
          { ...query, pageToken, skip: pageToken === "" ? skip : 0 },
          executionFields,
          [],
        );
        const found = await store.executions.find(project, { ...listing, limit: listing.limit + 1 }, false);
        const turned = turnPage(found, listing, of);
        read.push(...turned.rows.map(({ id }) => id));
        pageToken = turned.nextPageToken;
      } while (pageToken !== "");
      const { listing } = readListing(query, executionFields, []);
      const seen = new Set<string>();
      const firsts = rows
        .toSorted((a, b) => compareRows(listing.order, a, b))
        .filter((candidate) => {
          const group = JSON.stringify(listing.distinct.map((target) => keyAt(target, candidate)));
          const isFirst = one.distinctOn.length === 0 || !seen.has(group);
          seen.add(group);
          return isFirst;
        });
      t.deepEqual(read, idsOf(firsts).slice(skip));
      t.is(await store.executions.count(project, listing), firsts.length);
    }),
    { numRuns: 200, seed: 6 },
  );
});

test("one statement reads programs and the newest executions of each", async (t) => {
  const statements: string[] = [];
  const store = await openStoreAt(t.context.url, "queries", 1);
  store.database.sequelize.addHook("afterPoolAcquire", (connection) => {
    const client = connection as pg.Client;
    const query = client.query as (statement: { text: string }) => unknown;
    const counted = (statement: { text: string }) => {
      statements.push(statement.text);
      return query(statement);
    };
    client.query = counted as typeof client.query;
  });
  const { listing } = readListing(request, programFields, []);
  const found = await store.programs.find(project, listing, { withState: false, latest: 3 });
  await store.close();
  t.deepEqual(
    found.map(({ row }) => row.latest.length),
    [3, 3],
  );
  for (const { row } of found) {
    const newest = t.context.rows
      .filter(({ program_id }) => program_id === row.program.id)
      .map(({ id }) => id);
    t.deepEqual(idsOf(row.latest), newest.sort().reverse().slice(0, 3));
  }
  t.is(statements.length, 1, statements.join("\n"));
});
