// npm test: every test, TypeScript and Python; arguments go to ava.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { python, root, setUp } from "./setup.js";

await setUp({ dev: true });

const reports = mkdtempSync(join(tmpdir(), "sigrun-report-"));
const env = {
  ...process.env,
  FORCE_COLOR: "0",
  PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH}`,
  // The tests start many gateways; without a cache each of them would compile its modules anew.
  NODE_COMPILE_CACHE: join(root, "node_modules/.cache/sigrun-compiled"),
};

function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on("error", reject);
    child.on("exit", (code) => resolve({ code, output }));
  });
}

const ava = await run("ava", ["--concurrency", "2", ...process.argv.slice(2)], root);
const count = (text, word) => Number(new RegExp(`(\\d+) (?:\\w+ )*${word}`).exec(text)?.[1] ?? 0);
// If a test fails, AVA's summary does not count the passed ones.
const avaPassed = (ava.output.match(/^ {2}[✔√] (?!\[)/gm) ?? []).length;
// "1 test failed", "1 uncaught exception", ...: every kind of failure counts.
const summary = ava.output.slice(ava.output.lastIndexOf("\n  ─\n"));
const avaFailed = Math.max(count(summary, "failed"), ava.code === 0 ? 0 : 1);

const xml = join(reports, "pytest.xml");
const pytest = await run(python, ["-m", "pytest", "-q", `--junitxml=${xml}`], join(root, "sidecar"));
const suite = pytest.code === 0 || pytest.code === 1 ? readFileSync(xml, "utf8") : "";
const attribute = (name) => Number(new RegExp(`<testsuite [^>]*${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
const broken = attribute("failures") + attribute("errors");
const pytestFailed = Math.max(broken, pytest.code === 0 ? 0 : 1);
const pytestPassed = attribute("tests") - broken - attribute("skipped");
rmSync(reports, { recursive: true });

const failed = avaFailed + pytestFailed;
console.log(`\n${avaPassed + pytestPassed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
