// npm start: installs what is missing, runs the gateway on Node 24, and ends when the gateway ends.
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { node, root, SetUpError, setUp } from "./setup.js";

const parentCheckMs = 500;

try {
  await setUp({ dev: false });
} catch (error) {
  if (!(error instanceof SetUpError)) throw error;
  console.error(`sigrun can't be set up: ${error.message}`);
  process.exit(1);
}

// The end of the IPC channel tells the gateway that this process was killed.
const gateway = spawn(node, [join(root, "src/main.ts")], {
  cwd: process.cwd(),
  stdio: ["inherit", "inherit", "inherit", "ipc"],
});
gateway.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));

// Ctrl-C reaches the gateway as well; this process waits until the gateway has drained.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => gateway.kill("SIGTERM"));

// If npm, or the shell between npm and this process, is killed, only this check stops the gateway.
const parent = process.ppid;
const npm = process.env.npm_lifecycle_event
  ? Number(spawnSync("ps", ["-o", "ppid=", "-p", String(parent)], { encoding: "utf8" }).stdout)
  : 0;
setInterval(() => {
  if (process.ppid !== parent || (npm > 1 && !isAlive(npm))) gateway.kill("SIGTERM");
}, parentCheckMs).unref();

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
