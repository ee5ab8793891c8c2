import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter } from "node:path";
import { promisify } from "node:util";
import anyTest, { type TestFn } from "ava";
import { grpcurlFolder } from "../scripts/grpcurl.js";
import { type Gateway, shared, startScripted } from "./_gateway.ts";

const test = anyTest as TestFn<Gateway>;
const file = shared(test);
const run = promisify(execFile);
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const [firstProgram = ""] = /^## Your first program$.*?(?=^## )/ms.exec(readme) ?? [];
const blocks = [...firstProgram.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, text = ""]) => ({
  isCommand: language === "sh",
  text: text.trim(),
}));

test.before(async (t) => {
  const { gateway, model } = await startScripted(file);
  model.script({ fields: { sentiment: "negative" } });
  t.context = gateway;
});

test("the commands of README's first program print the answers shown", async (t) => {
  t.timeout(300_000, "grpcurl may have to be built");
  const folder = grpcurlFolder();
  if (folder === undefined) return t.pass("not run: neither grpcurl nor go is on this machine");
  const env = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
  const said: string[] = [];
  for (const { text } of blocks.filter(({ isCommand }) => isCommand)) {
    const script = text.replaceAll("127.0.0.1:8080", new URL(t.context.url).host);
    // The last command shows an error, for which grpcurl exits with another code than 0.
    const { stdout, stderr } = await run("bash", ["-c", `${script}\nexit 0`], { env });
    said.push(stdout, stderr);
  }
  const answers = said.join("\n");
  t.regex(answers, /"status":\s*"EXECUTION_STATUS_COMPLETED"/);

  const [shownAnswer = "", shownError = ""] = blocks
    .filter(({ isCommand }) => !isCommand)
    .map(({ text }) => text);
  // curl prints no new line after an answer.
  const [answer = ""] = /\{"outputs":.*/.exec(answers) ?? [];
  const keysOf = (text: string) => Object.keys(JSON.parse(text).execution);
  t.deepEqual(JSON.parse(answer).outputs, JSON.parse(shownAnswer).outputs);
  t.deepEqual(keysOf(answer), keysOf(shownAnswer));
  t.true(answers.includes(shownError), answers);
});
