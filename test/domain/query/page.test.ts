import test from "ava";
import { v7 as uuidv7 } from "uuid";
import { readPage, turnPage } from "../../../src/domain/query/page.ts";
import { refused } from "../_refused.ts";

const query = ["executions", "project", "program"];
const ids = Array.from({ length: 4 }, () => uuidv7());
const found = ids.map((id) => ({ row: { id }, keys: [id] }));

test("a page holds 50 rows by default and 1,000 at most", (t) => {
  t.is(readPage({ pageSize: 0, pageToken: "" }, query, 1).limit, 50);
  t.is(readPage({ pageSize: 5_000, pageToken: "" }, query, 1).limit, 1_000);
  t.deepEqual(
    refused(t, () => readPage({ pageSize: -1, pageToken: "" }, query, 1)),
    ["page_size: range"],
  );
});

test("a page's token continues after its last row; the last page has no token", (t) => {
  const { rows: shown, nextPageToken } = turnPage(found, { limit: 3 }, query);
  t.is(shown.length, 3);
  t.deepEqual(readPage({ pageSize: 3, pageToken: nextPageToken }, query, 1), {
    limit: 3,
    after: [ids[2] as string],
  });
  t.is(turnPage(found, { limit: 4 }, query).nextPageToken, "");
});

test("a page has a next page if the database found more rows than it read", (t) => {
  const [first, second] = found as [(typeof found)[0], (typeof found)[0]];
  t.is(turnPage([first, second], { limit: 4 }, query).nextPageToken, "");
  const { nextPageToken } = turnPage([first, { ...second, isCut: true }], { limit: 4 }, query);
  t.deepEqual(readPage({ pageSize: 3, pageToken: nextPageToken }, query, 1).after, second.keys);
});

test("a page ends before 3 MiB, but holds at least one row", (t) => {
  const heavy = (row: { id: string }) => (row.id === ids[3] ? 1 : 2 ** 21);
  t.deepEqual(turnPage(found, { limit: 4 }, query, heavy).rows, [{ id: ids[0] as string }]);
  t.is(turnPage(found, { limit: 4 }, query, () => 2 ** 24).rows.length, 1);
  const long = found.map(({ row }) => ({ row, keys: ["x".repeat(2 ** 20)] }));
  t.is(turnPage(long, { limit: 4 }, query, () => 2 ** 20).rows.length, 1);
});

test("refuses a token of another query or project, and a malformed one", (t) => {
  const { nextPageToken } = turnPage(found, { limit: 3 }, query);
  for (const [pageToken, asked] of [
    [nextPageToken, ["executions", "project", "other"]],
    [nextPageToken, ["executions", "other", "program"]],
    ["nonsense", query],
    [nextPageToken.slice(2), query],
    ["'; DROP TABLE executions", query],
  ] as const)
    t.deepEqual(
      refused(t, () => readPage({ pageSize: 3, pageToken }, asked, 1)),
      ["page_token: page_token"],
    );
});
