// npm run test:pooler: tests gateways behind PgBouncer in transaction mode.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { root, setUp } from "./setup.js";

const places = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
const pgbouncer = places.map((folder) => join(folder, "pgbouncer")).find((path) => existsSync(path));
if (!pgbouncer) {
  console.error("there is no pgbouncer on this machine; on Debian: apt-get install pgbouncer");
  process.exit(1);
}
await setUp({ dev: true });
const bin = join(root, "node_modules/.bin");
const { status } = spawnSync(join(bin, "ava"), ["test/store/pooler.test.ts", ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, SIGRUN_PGBOUNCER: pgbouncer },
});
process.exit(status ?? 1);
