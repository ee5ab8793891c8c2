// npm test: every test, TypeScript and Python side by side, but those of two folders:
// npm run test:faults: those of faults, which stop, freeze and cut the real parts.
// npm run test:fuzz: those of fuzz, which send and compare thousands of random or hostile values.
// Paths as arguments go to ava, which runs them alone.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
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
  // The tests start the sidecar many times; its modules are compiled once.
  PYTHONDONTWRITEBYTECODE: "",
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

const folders = ["faults", "fuzz"];
const all = readdirSync(join(root, "test"), { recursive: true })
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => join("test", file))
  .sort();
const filesIn = (folder) => all.filter((file) => file.startsWith(join("test", folder, "/")));
const apart = folders.flatMap(filesIn);
const [option, ...paths] = process.argv.slice(2);
const folder = folders.find((name) => option === `--${name}`);

let files = all.filter((file) => !apart.includes(file));
let pytestArgs = folders.flatMap((name) => ["--ignore", `tests/${name}`]);
if (folder) {
  files = filesIn(folder);
  pytestArgs = [`tests/${folder}`];
} else if (option) {
  files = [option, ...paths];
  pytestArgs = undefined;
}
const [ava, pytest] = await Promise.all([
  runAva(files),
  pytestArgs ? runPytest(pytestArgs) : { passed: 0, failed: 0, output: "" },
]);
process.stdout.write(pytest.output);
rmSync(reports, { recursive: true });

const failed = ava.failed + pytest.failed;
console.log(`\n${ava.passed + pytest.passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
