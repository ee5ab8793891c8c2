// npm run check: lint, types, formats, docs and generated code; the last line counts the checks.
import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { python, root, setUp } from "./setup.js";

await setUp({ dev: true });

const env = { ...process.env, PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH}` };
const checks = [
  ["TypeScript lint and format", "biome", ["ci", "."]],
  ["TypeScript types", "tsc", []],
  ["Python lint", python, ["-m", "ruff", "check", "--config", "ruff.toml", ".", "../bench/peers"], "sidecar"],
  [
    "Python format",
    python,
    ["-m", "ruff", "format", "--check", "--config", "ruff.toml", ".", "../bench/peers"],
    "sidecar",
  ],
  ["Python types", python, ["-m", "mypy", "dspy_sidecar"], "sidecar"],
  ["lines of docs and comments", process.execPath, ["scripts/lines.js"]],
  ["files and headings in docs", process.execPath, ["scripts/links.js"]],
  ["proto lint", "buf", ["lint"]],
  ["proto format", "buf", ["format", "--diff", "--exit-code"]],
  ["generated code is fresh", process.execPath, ["scripts/generate.js", "--check"]],
];

let failed = 0;
for (const [name, command, args, folder = "."] of checks) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: join(root, folder),
    env,
    encoding: "utf8",
  });
  console.log(`${status === 0 ? "ok    " : "FAILED"} ${name}`);
  if (status === 0) continue;
  failed += 1;
  console.log(`${error ?? ""}${stdout}${stderr}`);
}
console.log(`\n${checks.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
