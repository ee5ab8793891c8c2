// npm run examples: runs every example against a gateway without settings, on the embedded model.
// The last line counts the examples.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { grpcurlFolder } from "./grpcurl.js";
import { node, python, root, setUp } from "./setup.js";

await setUp({ dev: true });

const dataDir = mkdtempSync(join(tmpdir(), "sigrun-examples-"));
const gateway = spawn(node, [join(root, "src/main.ts")], {
  env: { ...process.env, SIGRUN_PORT: "0", SIGRUN_DATA_DIR: dataDir, SIGRUN_LOG_LEVEL: "warn" },
  stdio: ["ignore", "pipe", "inherit", "ipc"],
});
const ended = new Promise((resolve) => gateway.on("exit", resolve));
const url = await new Promise((resolve, reject) => {
  createInterface({ input: gateway.stdout }).on("line", (line) => {
    const ready = /^sigrun is ready on (.*)$/.exec(line);
    if (ready) resolve(ready[1]);
  });
  ended.then((code) => reject(new Error(`the gateway ended with ${code} before it was ready`)));
});

const host = new URL(url).host;
const bin = grpcurlFolder();
const examples = [
  ["examples/typescript/first-program.ts", node, [url]],
  ["examples/python/first_program.py", python, [host]],
  ...(bin === undefined ? [] : [["examples/grpcurl/first-program.sh", "bash", [host]]]),
  ["examples/optimize/optimize.ts", node, [url]],
];
if (bin === undefined) console.log("examples/grpcurl is left out: neither grpcurl nor go is on this machine");

let failed = 0;
for (const [file, command, args] of examples) {
  console.log(`\n== ${file}`);
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
  const { status } = spawnSync(command, [join(root, file), ...args], {
    cwd: root,
    env,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (status !== 0) failed += 1;
}
gateway.kill("SIGTERM");
await ended;
rmSync(dataDir, { recursive: true, force: true });
console.log(`\n${examples.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
