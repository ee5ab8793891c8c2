import anyTest, { type TestFn } from "ava";
import fc from "fast-check";
import { createAggregateExecutions } from "../../../src/actions/executions/aggregate.ts";
import { TooLarge } from "../../../src/domain/faults.ts";
import { readGroupings } from "../../../src/domain/query/aggregate.ts";
import { readCondition } from "../../../src/domain/query/condition.ts";
import { executionFields } from "../../../src/domain/query/queryable.ts";
import { runSql } from "../../_database.ts";
import { shared } from "../../_gateway.ts";
import { type Fields, meets } from "../_evaluate.ts";
import { type Filled, fill, project } from "../_rows.ts";

const test = anyTest as TestFn<Filled>;
const file = shared(anyTest);
test.before(async (t) => {
  t.context = await fill(file, { schema: "aggregates", handles: ["one", "two"], count: 300 });
});

const names = [
  "program_id",
  "revision",
  "status",
  "model",
  "error_reason",
  "labels.team",
  "labels.a.b",
  "hour",
  "day",
];
const filters = [
  "",
  "status = COMPLETED OR status = FAILED",
  "duration_ms > 1",
  "labels.team : a",
  "model = unknown",
];

/** A row's value of a grouping. */
function groupOf(name: string, row: Fields): string {
  const createdAt = String(row.created_at);
  if (name === "hour") return `${createdAt.slice(0, 13)}:00:00Z`;
  if (name === "day") return createdAt.slice(0, 10);
  if (name.startsWith("labels.")) return String((row.labels as Fields)[name.slice(7)] ?? "");
  return name === "status" ? String(row.status).toUpperCase() : String(row[name]);
}

/** Interpolates between two values, like PostgreSQL's percentile_cont. */
function percentile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const [low = 0, high = low] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place - Math.floor(place));
}

function summary(rows: readonly Fields[]) {
  const durations = rows
    .flatMap(({ duration_ms }) => (duration_ms === null ? [] : [Number(duration_ms)]))
    .sort((a, b) => a - b);
  const of = (status: string) => rows.filter((row) => row.status === status).length;
  const sum = (name: string) => rows.reduce((total, row) => total + Number(row[name]), 0);
  return {
    count: rows.length,
    completed: of("completed"),
    failed: of("failed"),
    cancelled: of("cancelled"),
    averageMs:
      durations.length === 0 ? 0 : durations.reduce((total, one) => total + one, 0) / durations.length,
    p50Ms: percentile(durations, 0.5),
    p95Ms: percentile(durations, 0.95),
    p99Ms: percentile(durations, 0.99),
    tokenUsage: {
      inputTokens: sum("input_tokens"),
      outputTokens: sum("output_tokens"),
      cachedTokens: 0,
      lmCalls: 0,
    },
  };
}

const rounded = (value: unknown) =>
  JSON.parse(JSON.stringify(value), (_, part) =>
    typeof part === "number" ? Number(part.toPrecision(12)) : part,
  );

test("aggregates equal those computed in memory, for any grouping and filter", async (t) => {
  const { store, rows } = t.context;
  t.timeout(120_000);
  const request = fc.record({
    groupBy: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 3 }),
    filter: fc.constantFrom(...filters),
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ groupBy, filter }) => {
      const where = readCondition(filter, executionFields);
      const groups = new Map<string, Fields[]>(groupBy.length === 0 ? [["[]", []]] : []);
      for (const row of rows.filter((one) => meets(where, one))) {
        const key = JSON.stringify(groupBy.map((name) => groupOf(name, row)));
        groups.set(key, [...(groups.get(key) ?? []), row]);
      }
      const expected = [...groups].map(([key, grouped]) => {
        const values = JSON.parse(key) as string[];
        return {
          group: Object.fromEntries(groupBy.map((name, index) => [name, values[index]])),
          ...summary(grouped),
        };
      });
      const inOrder = (groups: readonly { group: object }[]) =>
        groups.toSorted((a, b) => {
          const [one, other] = [a, b].map(({ group }) => Object.values(group));
          const place = one?.findIndex((value, index) => value !== other?.[index]) ?? 0;
          return Buffer.compare(Buffer.from(String(one?.[place])), Buffer.from(String(other?.[place])));
        });
      t.deepEqual(
        rounded(await store.executions.aggregate(project, where, readGroupings(groupBy))),
        rounded(inOrder(expected)),
      );
    }),
    { numRuns: 300, seed: 3 },
  );
});

test("refuses groups that do not fit into a message, by their number or their size", async (t) => {
  const { url, store } = await fill(t, { schema: "groups", handles: ["many"], count: 1 });
  await runSql(
    url,
    "groups",
    `INSERT INTO executions (project_id, id, program_id, revision, status, inputs, labels, updated_at)
     SELECT project_id, gen_random_uuid(), program_id, 1, 'pending', '{}', jsonb_build_object('n', n::text, 'long', n || repeat('😀', 250)), now()
     FROM executions, generate_series(1, 10000) AS n`,
  );
  const aggregate = createAggregateExecutions({ executions: store.executions });
  const groups = async (name: string, filter: string) =>
    (await aggregate(project, { filter, groupBy: [name] })).length;
  t.is(await groups("labels.n", "labels.n:*"), 10_000);
  await t.throwsAsync(groups("labels.n", ""), { instanceOf: TooLarge });
  await t.throwsAsync(groups("labels.long", "labels.n:*"), { instanceOf: TooLarge });
  t.is(await groups("labels.long", 'labels.n < "2"'), 1_112);
});
