import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { root } from "./environments.ts";

/** Hardware and versions of the measurement, one a line, without names and paths of the machine. */
export function machine(): string[] {
  const cores = cpus();
  return [
    `${cores.length} cores of ${cores[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB of memory, Linux ${release()}`,
    `Node ${process.versions.node}, ${versionOf(join(root, "sidecar/.venv/bin/python"), "--version")}, ${goVersion()}, PostgreSQL ${postgresVersion()}`,
    `all with DSPy ${pin("sidecar/pyproject.toml", "dspy")}; ${peers().join(", ")}`,
    `sigrun at commit ${versionOf("git", "rev-parse", "--short", "HEAD")}`,
  ];
}

const versionOf = (command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: root, encoding: "utf8" }).trim();

const goVersion = () => versionOf("go", "env", "GOVERSION").replace(/^go/, "Go ");

function postgresVersion(): string {
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return `${Object.values(optionalDependencies)[0]} (embedded)`;
}

function peers(): string[] {
  const folder = "bench/peers";
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("_"))
    .map(({ name }) => `${name} ${pin(`${folder}/${name}/pyproject.toml`, name)}`);
}

const pin = (file: string, name: string) =>
  new RegExp(`"${name}==([^"]+)"`).exec(readFileSync(join(root, file), "utf8"))?.[1];
