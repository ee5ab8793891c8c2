import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the clone. */
export const root = fileURLToPath(new URL("..", import.meta.url));
const bench = join(root, "bench");
const installed = join(bench, ".envs");
const run = (command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}) =>
  execFileSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit"],
  });

/** The Python environment of a peer, made what its lock file says. */
export function pythonEnvironment(peer: string): string {
  const folder = join(bench, "peers", peer);
  const into = join(installed, peer);
  const stamp = join(into, "bench-stamp");
  const wanted = createHash("sha256")
    .update(readFileSync(join(folder, "uv.lock")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return into;
  console.log(`installing ${peer} ...`);
  // Compiled now, or the first start would pay for it.
  const flags = ["sync", "--frozen", "--compile-bytecode", "--quiet"];
  run(join(root, "sidecar/.uv/bin/uv"), flags, folder, {
    UV_PROJECT_ENVIRONMENT: into,
    UV_PYTHON_DOWNLOADS: "never",
  });
  writeFileSync(stamp, wanted);
  return into;
}

/** The load generator, the model and the bare server, built of bench/go. */
export function goPrograms(): { load: string; model: string; floor: string } {
  const bin = join(installed, "bin");
  mkdirSync(bin, { recursive: true });
  try {
    run("go", ["build", "-o", `${bin}/`, "./..."], join(bench, "go"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new Error("the bench needs Go 1.26 or later");
    throw error;
  }
  return { load: join(bin, "load"), model: join(bin, "model"), floor: join(bin, "floor") };
}
