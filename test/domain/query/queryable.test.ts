import { readFileSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import * as queryable from "../../../src/domain/query/queryable.ts";
import { filter } from "../../store/_filters.ts";
import { row } from "../../store/_rows.ts";

const docs = readFileSync(new URL("../../../docs/queries.md", import.meta.url), "utf8");
const tables: [title: string, fields: queryable.Fields][] = [
  ["signatures", queryable.signatureFields],
  ["revisions of a program", queryable.revisionFields],
  ["programs", queryable.programFields],
  ["optimizations", queryable.optimizationFields],
  ["executions", queryable.executionFields],
];

/** A field of the table; it may be followed by a member, such as `labels.KEY`. */
const withoutMember = (fields: queryable.Fields, name: string) => {
  const field = name.slice(0, name.lastIndexOf("."));
  const hasMembers = ["json", "labels", "list"].some((kind) => kind === fields[field]);
  return hasMembers ? field : name;
};

for (const [title, fields] of tables)
  test(`docs/queries.md lists the fields of ${title} that callers may query`, (t) => {
    const [, listed = ""] = docs.match(new RegExp(`^\\| ${title} \\| \`(.*)\` \\|$`, "m")) ?? [];
    const named = listed.split(" ").map((name) => withoutMember(fields, name));
    t.deepEqual(named.sort(), Object.keys(fields).sort());
  });

test("the random rows and filters have every text field of an execution", (t) => {
  const rows = fc.sample(row(["one"]), { numRuns: 50, seed: 7 });
  const filters = fc.sample(filter, { numRuns: 1_000, seed: 7 });
  for (const [field, kind] of Object.entries(queryable.executionFields))
    if (kind === "text") {
      t.true(
        rows.every((one) => Object.hasOwn(one, field)),
        `_rows.ts lacks ${field}`,
      );
      t.true(
        filters.some((one) => new RegExp(`\\b${field}\\b`).test(one)),
        `_filters.ts lacks ${field}`,
      );
    }
});
