import test from "ava";
import { StoreUnavailable } from "../../src/domain/faults.ts";
import { openStoreAt, runSql } from "../_database.ts";
import { shared, startPostgres } from "../_gateway.ts";

const file = shared(test);
let url: string;
test.before(async () => {
  url = await startPostgres(file);
});

/** A schema with a function that fails with the SQLSTATE until it has been called so often. */
async function openFlaky(schema: string, state: string, times: number) {
  const store = await openStoreAt(url, schema);
  await runSql(url, schema, "CREATE SEQUENCE tries");
  await runSql(
    url,
    schema,
    `CREATE FUNCTION flaky() RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
     DECLARE tried bigint := nextval('tries');
     BEGIN
       IF tried <= ${times} THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '${state}'; END IF;
       RETURN tried;
     END $$`,
  );
  return store;
}

const flaky = { sql: "SELECT sigrun.flaky() AS tried" };

for (const state of ["40001", "40P01"])
  test(`work that conflicts with another transaction (${state}) is done again`, async (t) => {
    const store = await openFlaky(`again_${state.toLowerCase()}`, state, 2);
    t.deepEqual(await store.database.rows(flaky), [{ tried: "3" }]);
    const inTransaction = await store.database.transact(async (transaction) => {
      const [row] = await store.database.rows<{ tried: string }>(flaky, [], transaction);
      return row?.tried;
    });
    t.is(inTransaction, "4");
    await store.close();
  });

test("a transaction that conflicts is done again from its beginning", async (t) => {
  const store = await openFlaky("from_the_beginning", "40001", 2);
  let begun = 0;
  await store.database.transact(async (transaction) => {
    begun += 1;
    await store.database.rows(flaky, [], transaction);
  });
  t.is(begun, 3);
  await store.close();
});

for (const state of ["40001", "53100", "57P01", "08006", "25006", "58030"])
  test(`work that always fails with ${state} is STORE_UNAVAILABLE, and the pool stays usable`, async (t) => {
    const store = await openFlaky(`always_${state.toLowerCase()}`, state, 1_000);
    for (let call = 0; call < 4; call++)
      await t.throwsAsync(store.database.rows(flaky), { instanceOf: StoreUnavailable });
    t.true(await store.database.isWritable());
    await store.close();
  });
