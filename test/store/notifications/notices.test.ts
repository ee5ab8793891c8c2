import { type AddressInfo, createServer, type Socket } from "node:net";
import test from "ava";
import type { Database } from "../../../src/store/database.ts";
import { createNotices } from "../../../src/store/notifications/notices.ts";
import { createLogger } from "../../../src/telemetry.ts";
import { until } from "../../_wait.ts";

test("they are closed while their connection is still being made", async (t) => {
  const callers: Socket[] = [];
  const silent = createServer((caller) => {
    caller.on("error", () => {});
    callers.push(caller);
  });
  await new Promise<void>((listening) => {
    silent.listen(0, "127.0.0.1", listening);
  });
  t.teardown(() => silent.close());
  const url = `postgres://nobody@127.0.0.1:${(silent.address() as AddressInfo).port}/postgres`;
  const notices = createNotices({} as Database, { url, schema: "public", log: createLogger("silent") });
  notices.listen(() => {});
  await until(() => callers.length > 0);
  const closed = notices.close();
  for (const caller of callers) caller.destroy();
  await closed;
  t.is(callers.length, 1, "and none is made after it");
});
