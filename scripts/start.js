// npm start: installs what is missing, runs the gateway on Node 24, and ends when the gateway ends.
// A gateway that ended after an uncaught error is started again, after a pause.
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { node, root, SetUpError, setUp } from "./setup.js";

const parentCheckMs = 500;
/** Exit code of src/crash.ts. */
const crashCode = 70;
const minPauseMs = 1_000;
const maxPauseMs = 60_000;
/** After a gateway lived this long, the next restart comes after the minimum pause again. */
const stableMs = 300_000;

try {
  await setUp({ dev: false });
} catch (error) {
  if (!(error instanceof SetUpError)) throw error;
  console.error(`sigrun can't be set up: ${error.message}`);
  process.exit(1);
}

let gateway;
let pauseMs = minPauseMs;
let isStopping = false;

// Ctrl-C reaches the gateway as well; this process waits until the gateway has drained.
// The handlers are set before there is a gateway, so that no signal in between leaves one behind.
process.on("SIGINT", () => stop());
process.on("SIGTERM", () => stop("SIGTERM"));
run();

function run() {
  const began = Date.now();
  // The end of the IPC channel tells the gateway that this process was killed.
  gateway = spawn(node, [join(root, "src/main.ts")], {
    cwd: process.cwd(),
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  gateway.on("exit", (code, signal) => {
    if (code !== crashCode || isStopping) process.exit(code ?? (signal === "SIGINT" ? 130 : 1));
    if (Date.now() - began > stableMs) pauseMs = minPauseMs;
    console.log(`sigrun ended after an uncaught error, see the log; it restarts in ${pauseMs / 1000} s`);
    setTimeout(run, pauseMs);
    pauseMs = Math.min(pauseMs * 2, maxPauseMs);
  });
}

function stop(signal) {
  isStopping = true;
  // In the pause before a restart there is no gateway to wait for.
  if (!gateway || gateway.exitCode !== null || gateway.signalCode !== null) process.exit(0);
  if (signal) gateway.kill(signal);
}

// If npm, or the shell between npm and this process, is killed, only this check stops the gateway.
const parent = process.ppid;
const npm = process.env.npm_lifecycle_event
  ? Number(spawnSync("ps", ["-o", "ppid=", "-p", String(parent)], { encoding: "utf8" }).stdout)
  : 0;
const check = setInterval(() => {
  if (process.ppid === parent && (npm <= 1 || isAlive(npm))) return;
  clearInterval(check);
  stop("SIGTERM");
}, parentCheckMs);
check.unref();

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
