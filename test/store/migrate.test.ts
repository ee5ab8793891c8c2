import test from "ava";
import { QueryTypes } from "sequelize";
import { NotFound } from "../../src/domain/faults.ts";
import { origins } from "../../src/domain/program/revision.ts";
import type { Store } from "../../src/store/store.ts";
import { openStoreAt } from "../_database.ts";
import { shared, startPostgres } from "../_gateway.ts";

const file = shared(test);
let url: string;
test.before(async () => {
  url = await startPostgres(file);
});

/** A gateway's store. */
const open = (schema: string) => openStoreAt(url, schema);

function columns({ database }: Store, schema: string) {
  const sql =
    "SELECT table_name, column_name, is_nullable FROM information_schema.columns WHERE table_schema = $1";
  type Column = { table_name: string; column_name: string; is_nullable: "YES" | "NO" };
  return database.sequelize.query<Column>(sql, { bind: [schema], type: QueryTypes.SELECT });
}

test("gateways that start at the same time migrate once, and all start", async (t) => {
  const stores = await Promise.all(Array.from({ length: 6 }, () => open("at_once")));
  for (const store of stores) {
    await t.throwsAsync(store.programs.get("00000000-0000-0000-0000-000000000000", "no-program"), {
      instanceOf: NotFound,
    });
    await store.close();
  }
});

test("every row belongs to a project, except in three tables that no caller sees", async (t) => {
  const store = await open("projects");
  const found = await columns(store, "projects");
  const tables = new Set(found.map(({ table_name }) => table_name));
  const owned = found
    .filter(({ column_name, is_nullable }) => column_name === "project_id" && is_nullable === "NO")
    .map(({ table_name }) => table_name);
  t.deepEqual([...tables].filter((table) => !owned.includes(table)).sort(), [
    "change_marks",
    "leases",
    "migrations",
  ]);
  await store.close();
});

test("the database allows exactly the origins of revisions that the domain lists", async (t) => {
  const store = await open("origins");
  const [check] = await store.database.sequelize.query<{ definition: string }>(
    `SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint
     WHERE conname = 'program_revisions_origin_check' AND connamespace = 'origins'::regnamespace`,
    { type: QueryTypes.SELECT },
  );
  const allowed = [...(check?.definition ?? "").matchAll(/'(\w+)'/g)].map(([, origin]) => origin);
  t.deepEqual(allowed.sort(), [...origins].sort());
  await store.close();
});
