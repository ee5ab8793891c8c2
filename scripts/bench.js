// npm run bench, npm run bench:*: installs what is missing, and runs a file of bench/ on Node 24.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { node, root, setUp } from "./setup.js";

const [file, ...args] = process.argv.slice(2);
await setUp({ dev: true });
// If this process is killed, the bench and its children end too. The bench is for Linux: it reads
// /proc.
const command = ["--pdeathsig", "TERM", "--", node, join(root, "bench", file), ...args];
const { status } = spawnSync("setpriv", command, { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);
