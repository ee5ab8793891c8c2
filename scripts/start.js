// npm start: sets up what is missing, then runs the gateway on Node 24 and ends with it.
import { spawn } from "node:child_process";
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

// The channel is how the gateway learns that we were killed.
const gateway = spawn(node, [join(root, "src/main.ts")], { cwd: process.cwd(), stdio: ["inherit", "inherit", "inherit", "ipc"] });
gateway.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));

// Ctrl-C reaches the gateway too, which drains; we wait for it.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => gateway.kill("SIGTERM"));

// npm or the shell around us was killed: nobody else would stop the gateway.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) gateway.kill("SIGTERM");
}, parentCheckMs).unref();
