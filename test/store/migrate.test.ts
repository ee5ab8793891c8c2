import test from "ava";
import { QueryTypes } from "sequelize";
import { NotFound } from "../../src/domain/faults.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { createLogger } from "../../src/telemetry.ts";
import { shared, startPostgres } from "../_gateway.ts";

const file = shared(test);
let url: string;
test.before(async () => {
  url = await startPostgres(file);
});

const open = (schema: string) => openStore({ url, schema, pool: 2, log: createLogger("error") });

function columns({ database }: Store, schema: string) {
  const sql =
    "SELECT table_name, column_name, is_nullable FROM information_schema.columns WHERE table_schema = $1";
  type Column = { table_name: string; column_name: string; is_nullable: "YES" | "NO" };
  return database.sequelize.query<Column>(sql, { bind: [schema], type: QueryTypes.SELECT });
}

test("several gateways that start at once migrate once, and all go on", async (t) => {
  const stores = await Promise.all(Array.from({ length: 6 }, () => open("at_once")));
  for (const store of stores) {
    await t.throwsAsync(store.programs.get("00000000-0000-0000-0000-000000000000", "nobodys"), {
      instanceOf: NotFound,
    });
    await store.close();
  }
});

test("every table has its project, never null; but for the gateways' own", async (t) => {
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
