// npm run bench and its like: sets up what is missing, then runs one file of bench/ on Node 24.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { node, root, setUp } from "./setup.js";

const [file, ...args] = process.argv.slice(2);
await setUp({ dev: true });
// Where we are killed it ends too, and what it started with it. The bench reads /proc: it is for Linux.
const command = ["--pdeathsig", "TERM", "--", node, join(root, "bench", file), ...args];
const { status } = spawnSync("setpriv", command, { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);
