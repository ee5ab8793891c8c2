import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { processesWith } from "./_processes.ts";
import { until } from "./_wait.ts";

const scripts = fileURLToPath(new URL("../scripts", import.meta.url));
const onLinux = process.platform === "linux" ? test : test.skip;

/** Starts scripts/start.js in a clone without packages, whose npm hangs in a package's script. */
function startSetUp(t: ExecutionContext): { child: ChildProcess; token: string } {
  const clone = mkdtempSync(join(tmpdir(), "sigrun-setup-"));
  t.teardown(() => {
    for (const pid of processesWith(basename(clone)).keys()) process.kill(pid, "SIGKILL");
    rmSync(clone, { recursive: true, force: true });
  });
  mkdirSync(join(clone, "scripts"));
  for (const name of ["start.js", "setup.js", "with-parent.js"])
    copyFileSync(join(scripts, name), join(clone, "scripts", name));
  const manifest = { name: "clone", version: "1.0.0", type: "module" };
  const lock = { name: "clone", version: "1.0.0", lockfileVersion: 3, packages: { "": manifest } };
  writeFileSync(
    join(clone, "package.json"),
    JSON.stringify({ ...manifest, scripts: { preinstall: "sleep 3600" } }),
  );
  writeFileSync(join(clone, "package-lock.json"), JSON.stringify(lock));
  const child = spawn(process.execPath, [join(clone, "scripts/start.js")], {
    cwd: clone,
    env: { PATH: process.env.PATH, HOME: clone },
    detached: true,
    stdio: "ignore",
  });
  return { child, token: basename(clone) };
}

for (const signal of ["SIGKILL", "SIGINT"] as const)
  onLinux(`a set-up that is ended by ${signal} leaves no process of npm`, async (t) => {
    const { child, token } = startSetUp(t);
    await until(() => [...processesWith(token).values()].some((command) => /sleep 3600/.test(command)));
    // Ctrl-C in a terminal goes to the whole process group.
    process.kill(signal === "SIGINT" ? -(child.pid ?? 0) : (child.pid ?? 0), signal);
    await until(() => processesWith(token).size === 0);
    t.pass();
  });
