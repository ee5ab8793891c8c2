import test from "ava";
import { v7 as uuidv7 } from "uuid";
import { createDatabase, openStoreAt, runSql } from "../../_database.ts";
import { shared } from "../../_gateway.ts";
import { project } from "../_rows.ts";

// During an upgrade, gateways of the release before serve on the schema of this release. These are
// the statements of the release before migration 0009, by which it found or created a signature.
const insertSql = `
  INSERT INTO signatures (project_id, id, name, instructions, inputs, outputs, content_hash, created_at, updated_at)
  VALUES ($1, $2, $3, $4, '[]', '[]', $5, now(), now()) ON CONFLICT DO NOTHING`;
const findSql = "SELECT id, content_hash FROM signatures WHERE project_id = $1 AND name = $2 LIMIT 1";

const file = shared(test);
const schema = "signatures_before";

// The schema as it was before migration 0009.
const undoSql = `
  ALTER TABLE signatures DROP COLUMN version, DROP CONSTRAINT signatures_project_id_name_content_hash_key,
    ADD UNIQUE (project_id, name);
  DELETE FROM migrations WHERE name = '0009-signature-versions'`;

test("signatures that were there before the upgrade are version 1 after it", async (t) => {
  const url = await createDatabase();
  await (await openStoreAt(url, "upgraded")).close();
  for (const sql of undoSql.split(";")) await runSql(url, "upgraded", sql);
  await runSql(url, "upgraded", insertSql, [project, uuidv7(), "Old", "one", "one"]);
  const { signatures, close } = await openStoreAt(url, "upgraded");
  file.teardown(close);
  t.like(await signatures.get(project, { name: "Old" }), { version: 1, instructions: "one" });
  const made = await signatures.findOrCreate(project, {
    name: "Old",
    instructions: "two",
    inputs: [],
    outputs: [],
  });
  t.is(made.version, 2);
});

test("signatures that a gateway of the release before writes on this schema are version 1", async (t) => {
  const url = await createDatabase();
  const { signatures, close } = await openStoreAt(url, schema);
  file.teardown(close);
  const insert = (name: string, hash: string) =>
    runSql(url, schema, insertSql, [project, uuidv7(), name, hash, hash]);

  await insert("Old", "one");
  await insert("Old", "one");
  await insert("Old", "other");
  t.like(await signatures.get(project, { name: "Old" }), { version: 1, instructions: "one" });
  const [found] = await runSql(url, schema, findSql, [project, "Old"]);
  t.is(found?.content_hash, "one");

  const next = { name: "Old", instructions: "two", inputs: [], outputs: [] };
  const made = await signatures.findOrCreate(project, next);
  t.is(made.version, 2);
  await insert("Old", "three");
  t.is((await signatures.get(project, { name: "Old" })).id, made.id);
  await insert("New", "one");
  t.is((await signatures.get(project, { name: "New" })).version, 1);
});
