import { execFile } from "node:child_process";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import anyTest, { type TestFn } from "ava";
import { grpcurlFolder } from "../scripts/grpcurl.js";
import { type Gateway, shared, startScripted } from "./_gateway.ts";

const test = anyTest as TestFn<Gateway>;
const file = shared(test);
const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

test.before(async (t) => {
  const { gateway, model } = await startScripted(file);
  model.script({ fields: { sentiment: "negative" } });
  t.context = gateway;
});

test("the TypeScript example runs the program and prints its record, twice in a row", async (t) => {
  for (let time = 1; time <= 2; time++) {
    const { stdout } = await run(process.execPath, [
      join(root, "examples/typescript/first-program.ts"),
      t.context.url,
    ]);
    t.regex(
      stdout,
      /^program {3}sentiment-by-typescript\nanswer {4}negative\non record completed, 42 tokens, \d+ ms\n$/,
    );
  }
});

test("the Python example runs the program and prints its record, twice in a row", async (t) => {
  const python = join(root, "sidecar/.venv/bin/python");
  for (let time = 1; time <= 2; time++) {
    const { stdout } = await run(python, [
      join(root, "examples/python/first_program.py"),
      new URL(t.context.url).host,
    ]);
    t.regex(
      stdout,
      /^program {3}sentiment-by-python\nanswer {4}negative\non record completed, 42 tokens, \d+ ms\n$/,
    );
  }
});

test("the grpcurl example runs the program and prints its record, twice in a row", async (t) => {
  t.timeout(300_000, "grpcurl may have to be built");
  const folder = grpcurlFolder();
  if (folder === undefined) return t.pass("not run: neither grpcurl nor go is on this machine");
  const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
  for (let time = 1; time <= 2; time++) {
    const { stdout } = await run(
      "bash",
      [join(root, "examples/grpcurl/first-program.sh"), new URL(t.context.url).host],
      { env },
    );
    t.regex(stdout, /"sentiment": "negative"/);
    t.regex(stdout, /On record:[\s\S]*"status": "EXECUTION_STATUS_COMPLETED"/);
  }
});
