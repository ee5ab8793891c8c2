import test from "ava";
import { once } from "../../src/actions/once.ts";

const key = { method: "create", id: "0192f0c1-2345-7890-8abc-def012345678", hash: "a" };

test("a call without a request_id looks nothing up", async (t) => {
  const find = async () => t.fail() as never;
  t.deepEqual(await once(null, find, async () => ({ name: "made" })), { name: "made" });
});

test("a repeated request_id gets what the first call made", async (t) => {
  const found = { name: "first", hash: "a" };
  t.deepEqual(
    await once<{ name: string }>(
      key,
      async () => found,
      async () => t.fail() as never,
    ),
    found,
  );
});

test("refuses a request_id that belongs to another request", async (t) => {
  const found = { name: "first", hash: "b" };
  const error = await t.throwsAsync(
    once<{ name: string }>(
      key,
      async () => found,
      async () => t.fail() as never,
    ),
  );
  t.like(error, { reason: "REQUEST_ID_REUSED" });
});

test("of two calls at once with one request_id, the slower one gets what the faster one made", async (t) => {
  const rows: { name: string; hash: string }[] = [];
  const call = (name: string) =>
    once<{ name: string }>(
      key,
      async () => rows[0] ?? null,
      async () => {
        await Promise.resolve();
        if (rows[0]) return undefined;
        rows.push({ name, hash: key.hash });
        return { name };
      },
    );
  const [first, second] = await Promise.all([call("first"), call("second")]);
  t.deepEqual([first.name, second.name, rows.length], ["first", "first", 1]);
});
