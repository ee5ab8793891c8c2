import { type AddressInfo, createServer, type Socket } from "node:net";
import test from "ava";
import { readDatabaseUrl } from "../../../src/database-url/read.ts";
import { createClients } from "../../../src/store/connection/clients.ts";
import type { Database } from "../../../src/store/database.ts";
import { createNotices } from "../../../src/store/notifications/notices.ts";
import { createLogger } from "../../../src/telemetry.ts";
import { until } from "../../_wait.ts";

test("closes while its connection is still being made, and makes no other", async (t) => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
  });
  await new Promise<void>((listening) => {
    silent.listen(0, "127.0.0.1", listening);
  });
  t.teardown(() => silent.close());
  const url = `postgres://nobody@127.0.0.1:${(silent.address() as AddressInfo).port}/postgres`;
  const log = createLogger("silent");
  const { Listen } = createClients({
    database: readDatabaseUrl(url, {}),
    direct: undefined,
    isPooled: false,
    log,
  });
  const notices = createNotices({} as Database, { Client: Listen, schema: "public", canListen: true, log });
  notices.listen(() => {});
  await until(() => sockets.length > 0);
  const closed = notices.close();
  for (const socket of sockets) socket.destroy();
  await closed;
  t.is(sockets.length, 1, "no further connection is made");
});
