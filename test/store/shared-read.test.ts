import test from "ava";
import { createSharedRead } from "../../src/store/shared-read.ts";

/** Reads that end when they are told to, and know how often they began. */
function controlled() {
  const begun: { key: string; end(value: string): void; fail(error: Error): void }[] = [];
  const read = createSharedRead(
    (key: string) =>
      new Promise<string>((resolve, reject) => begun.push({ key, end: resolve, fail: reject })),
  );
  const until = async (count: number) => {
    while (begun.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, read, until };
}

test("those who ask at once share a read, and those who ask while it is under way share the next", async (t) => {
  const { begun, read, until } = controlled();
  const first = [read("a"), read("a")];
  await until(1);
  const second = [read("a"), read("a"), read("a")];
  const other = read("b");
  await until(2);
  t.deepEqual(
    begun.map(({ key }) => key),
    ["a", "b"],
  );
  begun[0]?.end("old");
  t.deepEqual(await Promise.all(first), ["old", "old"]);
  await until(3);
  begun[2]?.end("new");
  t.deepEqual(await Promise.all(second), ["new", "new", "new"]);
  begun[1]?.end("other");
  t.is(await other, "other");
  t.is(begun.length, 3);
});

test("a read that fails fails for those who share it, and the next is made all the same", async (t) => {
  const { begun, read, until } = controlled();
  const first = [read("a"), read("a")];
  await until(1);
  const second = read("a");
  begun[0]?.fail(new Error("away"));
  for (const one of first) await t.throwsAsync(one, { message: "away" });
  await until(2);
  begun[1]?.end("back");
  t.is(await second, "back");
});
