import { execFile, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import anyTest, { type TestFn } from "ava";
import { type Gateway, shared, startScripted } from "./_gateway.ts";

const test = anyTest as TestFn<Gateway>;
const file = shared(test);
const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

test.before(async (t) => {
  const { gateway, model } = await startScripted(file);
  model.script({ fields: { capital: "Paris" } });
  t.context = gateway;
});

test("the TypeScript example does what it says, also a second time", async (t) => {
  for (let time = 1; time <= 2; time++) {
    const { stdout } = await run(process.execPath, [join(root, "examples/typescript/first-program.ts"), t.context.url]);
    t.regex(stdout, /^program {3}capital-by-typescript\nanswer {4}Paris\non record completed, 42 tokens, \d+ ms\n$/);
  }
});

test("the Python example does what it says, also a second time", async (t) => {
  const python = join(root, "sidecar/.venv/bin/python");
  for (let time = 1; time <= 2; time++) {
    const { stdout } = await run(python, [join(root, "examples/python/first_program.py"), new URL(t.context.url).host]);
    t.regex(stdout, /^program {3}capital-by-python\nanswer {4}Paris\non record completed, 42 tokens, \d+ ms\n$/);
  }
});

test("the grpcurl example does what it says, also a second time", async (t) => {
  t.timeout(300_000, "grpcurl may have to be built");
  const folder = await grpcurlFolder();
  if (folder === undefined) return t.pass("not run: neither grpcurl nor go is on this machine");
  const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
  for (let time = 1; time <= 2; time++) {
    const { stdout } = await run("bash", [join(root, "examples/grpcurl/first-program.sh"), new URL(t.context.url).host], { env });
    t.regex(stdout, /"capital": "Paris"/);
    t.regex(stdout, /On record:[\s\S]*"status": "EXECUTION_STATUS_COMPLETED"/);
  }
});

/** Where grpcurl is; where it is not but Go is, it is built into node_modules. */
async function grpcurlFolder(): Promise<string | undefined> {
  if (spawnSync("grpcurl", ["-version"]).status === 0) return "";
  if (spawnSync("go", ["version"]).status !== 0) return undefined;
  const folder = join(root, "node_modules/.cache/sigrun/bin");
  mkdirSync(folder, { recursive: true });
  await run("go", ["install", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"], { env: { ...process.env, GOBIN: folder } });
  return folder;
}
