import test, { type ExecutionContext } from "ava";
import pg from "pg";
import { ExecutionView } from "../../src/gen/sigrun/v1/execution_service_pb.ts";
import { UnfitDatabase } from "../../src/store/connection/unfit.ts";
import { openStoreAt, runSql } from "../_database.ts";
import { shared, startGateway, startPostgres } from "../_gateway.ts";
import { startModel } from "../_model.ts";

const file = shared(test);
let url: string;
test.before(async () => {
  url = await startPostgres(file);
});

const sql = (text: string) => runSql(url, "public", text);
const at = (database: string, user?: string) => {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  if (user) changed.username = user;
  return changed.href;
};

for (const encoding of ["SQL_ASCII", "LATIN1"])
  test(`a database in ${encoding} is refused at start, in words`, async (t) => {
    const name = encoding.toLowerCase();
    await sql(`CREATE DATABASE ${name} ENCODING '${encoding}' TEMPLATE template0`);
    const { message } = (await t.throwsAsync(openStoreAt(at(name), "public"), {
      instanceOf: UnfitDatabase,
    })) as Error;
    t.regex(message, new RegExp(`has the encoding ${encoding}, which can't hold every text`));
  });

test("other defaults of a database change nothing", async (t) => {
  t.timeout(120_000);
  await sql("CREATE DATABASE odd");
  for (const setting of [
    "default_transaction_isolation = 'serializable'",
    "DateStyle = 'German, DMY'",
    "IntervalStyle = 'iso_8601'",
    "standard_conforming_strings = off",
    "TimeZone = 'Asia/Kathmandu'",
    "search_path = ''",
    "client_min_messages = 'debug1'",
    "statement_timeout = '1ms'",
  ])
    await sql(`ALTER DATABASE odd SET ${setting}`);
  const model = await startModel();
  t.teardown(model.close);
  model.script({ fields: { answer: "Paris" } });
  const { programs, executions } = await startGateway(t, {
    DATABASE_URL: at("odd"),
    SIGRUN_WORKERS: "1",
    SIGRUN_LM: "openai/scripted",
    SIGRUN_LM_API_BASE: model.url,
    OPENAI_API_KEY: "test",
  });
  const signature = { text: "question -> answer" };
  const { program } = await programs.createProgram({ program: { name: "Capital", signature } });
  const id = program?.id ?? "";
  const times = <T>(count: number, call: (n: number) => Promise<T>) =>
    Promise.all(Array.from({ length: count }, (_, n) => call(n)));
  await Promise.all([
    times(40, () => programs.executeProgram({ programId: id, inputs: { question: "a\\b'c" } })),
    times(10, (n) =>
      programs.updateProgram({
        program: { id, description: `${n}` },
        updateMask: { paths: ["description"] },
      }),
    ),
    times(10, () => programs.createProgram({ program: { name: "Same name", signature } })),
  ]);
  const since = new Date(Date.now() - 60_000).toISOString();
  const listed = await executions.listExecutions({
    filter: `created_at > "${since}" AND status = COMPLETED`,
    pageSize: 100,
    view: ExecutionView.FULL,
  });
  t.is(listed.executions.length, 40);
  t.deepEqual(listed.executions[0]?.inputs, { question: "a\\b'c" });
});

/** A role that may not create schemas. */
async function createRole(t: ExecutionContext, name: string): Promise<string> {
  const { password } = new URL(url);
  await sql(`CREATE DATABASE of_${name}`);
  await sql(`CREATE ROLE ${name} LOGIN PASSWORD '${password}'`);
  t.teardown(() => {});
  return at(`of_${name}`, name);
}

test("a role that may not create schemas works in those that an administrator made for it", async (t) => {
  const theirs = await createRole(t, "guest");
  const refused = (await t.throwsAsync(openStoreAt(theirs, "records"), {
    instanceOf: UnfitDatabase,
  })) as Error;
  t.is(
    refused.message,
    'schema "records" does not exist and role "guest" may not create it; run CREATE SCHEMA "records" AUTHORIZATION "guest"',
  );
  const admin = new pg.Client(at("of_guest"));
  await admin.connect();
  for (const schema of ["records", "records_jobs"])
    await admin.query(`CREATE SCHEMA ${schema} AUTHORIZATION guest`);
  await admin.end();
  const store = await openStoreAt(theirs, "records");
  await store.leases.renew();
  await store.close();
});

test("a role that may not create tables in the schema is refused at start, in words", async (t) => {
  const theirs = await createRole(t, "reader");
  const { message } = (await t.throwsAsync(openStoreAt(theirs, "public"), {
    instanceOf: UnfitDatabase,
  })) as Error;
  t.is(
    message,
    'role "reader" may not create tables in schema "public"; run GRANT USAGE, CREATE ON SCHEMA "public" TO "reader"',
  );
});

test("schema names up to PostgreSQL's 63 bytes work, and long ones that begin alike stay apart", async (t) => {
  const names = ["a", "b"].map((last) => `${"long_".repeat(13).slice(0, 62)}${last}`);
  for (const name of names) {
    const store = await openStoreAt(url, name);
    await store.leases.renew();
    await store.close();
  }
  const found = await sql(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'long%'`);
  t.is(found.length, 4);
});
