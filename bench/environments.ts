import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the clone. */
export const root = fileURLToPath(new URL("..", import.meta.url));
const bench = join(root, "bench");
const installed = join(bench, ".envs");
const run = (command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}) =>
  execFileSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit"],
  });

/** Installs the Python environment of a peer from its lock file. */
export function pythonEnvironment(peer: string): string {
  const folder = join(bench, "peers", peer);
  const into = join(installed, peer);
  const stamp = join(into, "bench-stamp");
  const wanted = createHash("sha256")
    .update(readFileSync(join(folder, "uv.lock")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return into;
  console.log(`installing ${peer} ...`);
  // Bytecode is compiled now; else the first start would include it.
  const flags = ["sync", "--frozen", "--compile-bytecode", "--quiet"];
  run(join(root, "sidecar/.uv/bin/uv"), flags, folder, {
    UV_PROJECT_ENVIRONMENT: into,
    UV_PYTHON_DOWNLOADS: "never",
  });
  writeFileSync(stamp, wanted);
  return into;
}

/** Builds the load generator, the model and the bare server from bench/go. */
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
