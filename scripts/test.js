// npm test: every test, TypeScript and Python side by side, but those of the folders faults.
// npm run test:faults: those, which stop, freeze and cut the real parts.
// Paths as arguments go to ava, which runs them alone.
import { spawn } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { python, root, setUp } from "./setup.js";

/** What has not ended by then hangs: it is told to end, and counts as failed. */
const maxMs = 20 * 60_000;
const maxEndMs = 30_000;

await setUp({ dev: true });

const reports = mkdtempSync(join(tmpdir(), "sigrun-report-"));
const env = {
  ...process.env,
  FORCE_COLOR: "0",
  PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH}`,
  // The tests start many gateways; without a cache each of them would compile its modules anew.
  NODE_COMPILE_CACHE: join(root, "node_modules/.cache/sigrun-compiled"),
};

function run(command, args, { cwd = root, print }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
    const timers = [
      setTimeout(() => child.kill("SIGINT"), maxMs),
      setTimeout(() => child.kill("SIGKILL"), maxMs + maxEndMs),
    ];
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
      if (print) process.stdout.write(text);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      for (const timer of timers) clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

async function runAva(files) {
  // More files than cores: most tests wait for processes or for time-outs.
  const { code, output } = await run("ava", ["--concurrency", "3", ...files], { print: true });
  // If a test fails, AVA's summary does not count the passed ones.
  const passed = (output.match(/^ {2}[✔√] (?!\[)/gm) ?? []).length;
  // "1 test failed", "1 uncaught exception", ...: every kind of failure counts.
  const summary = output.slice(output.lastIndexOf("\n  ─\n"));
  const failed = Number(/(\d+) (?:\w+ )*failed/.exec(summary)?.[1] ?? 0);
  return { passed, failed: Math.max(failed, code === 0 ? 0 : 1) };
}

async function runPytest(args) {
  const xml = join(reports, "pytest.xml");
  const { code, output } = await run(python, ["-m", "pytest", "-q", ...args, `--junitxml=${xml}`], {
    cwd: join(root, "sidecar"),
    print: false,
  });
  const suite = code === 0 || code === 1 ? readFileSync(xml, "utf8") : "";
  const attribute = (name) => Number(new RegExp(`<testsuite [^>]*${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const broken = attribute("failures") + attribute("errors");
  return {
    passed: attribute("tests") - broken - attribute("skipped"),
    failed: Math.max(broken, code === 0 ? 0 : 1),
    output,
  };
}

const all = globSync("test/**/*.test.ts", { cwd: root }).toSorted();
const faults = all.filter((file) => file.startsWith(join("test", "faults")));
const args = process.argv.slice(2);
const isFaults = args[0] === "--faults";
const files = isFaults ? faults : args.length > 0 ? args : all.filter((file) => !faults.includes(file));
const pytestArgs = isFaults ? ["tests/faults"] : ["--ignore", "tests/faults"];
const [ava, pytest] = await Promise.all([
  runAva(files),
  args.length > 0 && !isFaults ? { passed: 0, failed: 0, output: "" } : runPytest(pytestArgs),
]);
process.stdout.write(pytest.output);
rmSync(reports, { recursive: true });

const failed = ava.failed + pytest.failed;
console.log(`\n${ava.passed + pytest.passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
