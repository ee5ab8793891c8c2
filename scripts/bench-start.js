// npm run bench:start measures the first npm start of a fresh clone, with empty caches, and the
// second one.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "./setup.js";

const folder = mkdtempSync(join(tmpdir(), "sigrun-bench-"));
const clone = join(folder, "sigrun");
execFileSync("git", ["clone", "--quiet", root, clone]);

// A new home and empty caches, so that no earlier installation helps.
const env = { ...process.env, HOME: folder, SIGRUN_PORT: "0" };
env.npm_config_cache = join(folder, "npm");
env.UV_CACHE_DIR = join(folder, "uv");
env.PIP_CACHE_DIR = join(folder, "pip");
for (const name of Object.keys(env)) if (/^npm_(?!config_cache$)/.test(name)) delete env[name];

/** Seconds from npm start to the ready line, and from Ctrl-C to the end. */
async function start() {
  const began = performance.now();
  const npm = spawn("npm", ["start"], {
    cwd: clone,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => npm.on("exit", resolve));
  const ready = new Promise((resolve) => {
    createInterface({ input: npm.stdout }).on("line", (line) => {
      if (line.startsWith("sigrun is ready on ")) resolve(performance.now() - began);
    });
  });
  const tookMs = await Promise.race([
    ready,
    exited.then(() => {
      throw new Error("npm start ended before it was ready");
    }),
  ]);
  const stopped = performance.now();
  process.kill(-npm.pid, "SIGINT");
  await exited;
  return { ready: tookMs / 1000, stop: (performance.now() - stopped) / 1000 };
}

try {
  for (const which of ["first", "second"]) {
    const { ready, stop } = await start();
    console.log(`${which} start: ready after ${ready.toFixed(1)} s, ended ${stop.toFixed(1)} s after Ctrl-C`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
