import test from "ava";
import { createSharedRead } from "../../src/store/shared-read.ts";

/** A shared read whose reads the test ends. `started` lists them. */
function controlled() {
  const started: { key: string; end(value: string): void; fail(error: Error): void }[] = [];
  const read = createSharedRead(
    (key: string) =>
      new Promise<string>((resolve, reject) => started.push({ key, end: resolve, fail: reject })),
  );
  const until = async (count: number) => {
    while (started.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  return { started, read, until };
}

test("simultaneous calls share a read, and calls during that read share the next one", async (t) => {
  const { started, read, until } = controlled();
  const first = [read("a"), read("a")];
  await until(1);
  const second = [read("a"), read("a"), read("a")];
  const other = read("b");
  await until(2);
  t.deepEqual(
    started.map(({ key }) => key),
    ["a", "b"],
  );
  started[0]?.end("old");
  t.deepEqual(await Promise.all(first), ["old", "old"]);
  await until(3);
  started[2]?.end("new");
  t.deepEqual(await Promise.all(second), ["new", "new", "new"]);
  started[1]?.end("other");
  t.is(await other, "other");
  t.is(started.length, 3);
});

test("a failed read fails for all calls that share it, and does not stop the next read", async (t) => {
  const { started, read, until } = controlled();
  const first = [read("a"), read("a")];
  await until(1);
  const second = read("a");
  started[0]?.fail(new Error("away"));
  for (const one of first) await t.throwsAsync(one, { message: "away" });
  await until(2);
  started[1]?.end("back");
  t.is(await second, "back");
});
