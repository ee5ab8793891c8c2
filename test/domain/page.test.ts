import test from "ava";
import { v7 as uuidv7 } from "uuid";
import { readPage, turnPage } from "../../src/domain/page.ts";
import { refused } from "./_refused.ts";

const query = ["executions", "project", "program"];
const idOf = ({ id }: { id: string }) => [id];
const rows = Array.from({ length: 4 }, () => ({ id: uuidv7() }));

test("a page is 50 long where nothing is asked, and 1,000 at most", (t) => {
  t.is(readPage({ pageSize: 0, pageToken: "" }, query, 1).limit, 50);
  t.is(readPage({ pageSize: 5_000, pageToken: "" }, query, 1).limit, 1_000);
  t.deepEqual(
    refused(t, () => readPage({ pageSize: -1, pageToken: "" }, query, 1)),
    ["page_size: range"],
  );
});

test("the token of a page leads to the place after its last row, and the last page has none", (t) => {
  const { rows: shown, nextPageToken } = turnPage(rows, { limit: 3 }, query, idOf);
  t.is(shown.length, 3);
  t.deepEqual(readPage({ pageSize: 3, pageToken: nextPageToken }, query, 1), { limit: 3, after: [rows[2]?.id as string] });
  t.is(turnPage(rows, { limit: 4 }, query, idOf).nextPageToken, "");
});

test("a token of another query, another project, or nobody's is refused", (t) => {
  const { nextPageToken } = turnPage(rows, { limit: 3 }, query, idOf);
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
