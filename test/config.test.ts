import { resolve } from "node:path";
import test from "ava";
import { ConfigError, readConfig } from "../src/config.ts";

test("without settings it serves the embedded model on the loopback address", (t) => {
  const { host, port, database, databasePool, lm, lmAllowed, sidecar } = readConfig({});
  t.deepEqual(
    [host, port, database, databasePool, sidecar],
    ["127.0.0.1", undefined, undefined, 10, undefined],
  );
  t.deepEqual([lm, lmAllowed], ["embedded/smollm2", ["embedded/smollm2"]]);
});

test("an empty setting counts as not set", (t) =>
  t.is(readConfig({ SIGRUN_LM: "", DATABASE_URL: "" }).lm, "embedded/smollm2"));

test("programs may name the default model and the other allowed ones", (t) => {
  const { lmAllowed } = readConfig({
    SIGRUN_LM: "openai/a",
    SIGRUN_LM_ALLOWED: " openai/b, openai/a ,anthropic/c,",
  });
  t.deepEqual(lmAllowed, ["openai/a", "openai/b", "anthropic/c"]);
});

test("executions are kept for ever, or for a number of minutes, hours or days", (t) => {
  t.deepEqual(
    ["", "90m", "12h", "30d"].map((SIGRUN_RETENTION) => readConfig({ SIGRUN_RETENTION }).retentionMs),
    [undefined, 5_400_000, 43_200_000, 2_592_000_000],
  );
});

test("the drain takes a number of seconds or minutes", (t) => {
  t.deepEqual(
    ["", "2s", "3m"].map((SIGRUN_DRAIN) => readConfig({ SIGRUN_DRAIN }).drainMs),
    [25_000, 2_000, 180_000],
  );
});

test("the path of the MCP servers is made absolute, and generated code runs only if it is on", (t) => {
  t.is(readConfig({ SIGRUN_MCP_SERVERS: "mcp.json" }).mcpServers, resolve("mcp.json"));
  t.deepEqual(
    [{}, { SIGRUN_GENERATED_CODE: "off" }, { SIGRUN_GENERATED_CODE: "on" }].map(
      (env) => readConfig(env).generatedCode,
    ),
    [false, false, true],
  );
});

test("a size is a number of MiB or GiB, and at least 10MiB", (t) => {
  t.deepEqual(
    ["", "10MiB", "2GiB"].map((SIGRUN_ANSWER_MEMORY) => readConfig({ SIGRUN_ANSWER_MEMORY }).answerMemory),
    [512 * 2 ** 20, 10 * 2 ** 20, 2 * 2 ** 30],
  );
  for (const SIGRUN_ANSWER_MEMORY of ["9MiB", "512", "512MB", "0GiB", "1.5GiB", "-1GiB"])
    t.throws(() => readConfig({ SIGRUN_ANSWER_MEMORY }), { message: /expected a size of at least 10MiB/ });
});

test("names every wrong setting, with its value", (t) => {
  const wrong = {
    SIGRUN_PORT: "http",
    DATABASE_URL: "mysql://x",
    SIGRUN_LM: "gpt",
    SIGRUN_LOG_LEVEL: "loud",
    SIGRUN_RETENTION: "0d",
    SIGRUN_DRAIN: "1h",
    SIGRUN_GENERATED_CODE: "yes",
    SIGRUN_DATABASE_SCHEMA: 'x"; DROP',
  };
  const error = t.throws(() => readConfig(wrong), { instanceOf: ConfigError });
  const { DATABASE_URL: _url, ...shown } = wrong;
  t.true(error?.message.includes("DATABASE_URL has a wrong value: expected"));
  for (const [name, value] of Object.entries(shown))
    t.true(error?.message.includes(`${name} is ${JSON.stringify(value)}; expected `), error?.message);
});

test("refuses a number that is out of bounds or unreadable, and states the bounds", (t) => {
  for (const SIGRUN_WORKERS of ["many", "0", "1.5", "1000"])
    t.throws(() => readConfig({ SIGRUN_WORKERS }), {
      message: `SIGRUN_WORKERS is "${SIGRUN_WORKERS}"; expected a whole number from 1 to 256`,
    });
});

test("does not show a wrong DATABASE_URL, which may hold a password", (t) => {
  const error = t.throws(() => readConfig({ DATABASE_URL: "mysql://me:secret@host/db" }), {
    instanceOf: ConfigError,
  });
  t.false(error?.message.includes("secret"));
});

test("keys that no header can hold are all told by their variables, never by their values", (t) => {
  const env = {
    OPENAI_API_KEY: "sk-secret\n",
    AWS_SECRET_ACCESS_KEY: "a secret",
    ANTHROPIC_API_KEY: "fine",
    SIGRUN_PORT: "x",
  };
  const { message } = t.throws(() => readConfig(env), { instanceOf: ConfigError });
  for (const name of ["OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"])
    t.regex(message, new RegExp(`^${name} has a wrong value; expected one line of printable ASCII`, "m"));
  t.regex(message, /SIGRUN_PORT/);
  t.notRegex(message, /secret|ANTHROPIC/);
});
