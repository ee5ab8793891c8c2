import { resolve } from "node:path";
import test from "ava";
import { ConfigError, readConfig } from "../src/config.ts";

test("with nothing set it serves the embedded model on the loopback address", (t) => {
  const { host, port, databaseUrl, databasePool, lm, lmAllowed, sidecar } = readConfig({});
  t.deepEqual(
    [host, port, databaseUrl, databasePool, sidecar],
    ["127.0.0.1", undefined, undefined, 10, undefined],
  );
  t.deepEqual([lm, lmAllowed], ["embedded/smollm2", ["embedded/smollm2"]]);
});

test("what is set to nothing counts as not set", (t) =>
  t.is(readConfig({ SIGRUN_LM: "", DATABASE_URL: "" }).lm, "embedded/smollm2"));

test("the models that may be named are the default one and those allowed beside it", (t) => {
  const { lmAllowed } = readConfig({
    SIGRUN_LM: "openai/a",
    SIGRUN_LM_ALLOWED: " openai/b, openai/a ,anthropic/c,",
  });
  t.deepEqual(lmAllowed, ["openai/a", "openai/b", "anthropic/c"]);
});

test("executions are kept, or for so many minutes, hours or days", (t) => {
  t.deepEqual(
    ["", "90m", "12h", "30d"].map((SIGRUN_RETENTION) => readConfig({ SIGRUN_RETENTION }).retentionMs),
    [undefined, 5_400_000, 43_200_000, 2_592_000_000],
  );
});

test("the file of MCP servers has one address from anywhere, and code runs where it is switched on", (t) => {
  t.is(readConfig({ SIGRUN_MCP_SERVERS: "mcp.json" }).mcpServers, resolve("mcp.json"));
  t.deepEqual(
    [{}, { SIGRUN_GENERATED_CODE: "off" }, { SIGRUN_GENERATED_CODE: "on" }].map(
      (env) => readConfig(env).generatedCode,
    ),
    [false, false, true],
  );
});

test("every wrong setting is told, each by its name", (t) => {
  const wrong = {
    SIGRUN_PORT: "http",
    DATABASE_URL: "mysql://x",
    SIGRUN_LM: "gpt",
    SIGRUN_LOG_LEVEL: "loud",
    SIGRUN_RETENTION: "0d",
    SIGRUN_GENERATED_CODE: "yes",
    SIGRUN_DATABASE_SCHEMA: 'x"; DROP',
  };
  const error = t.throws(() => readConfig(wrong), { instanceOf: ConfigError });
  for (const name of Object.keys(wrong))
    t.true(error?.message.includes(name), `${name} in ${error?.message}`);
});

test("what is no number, or none that a setting takes, is told in words", (t) => {
  for (const SIGRUN_WORKERS of ["many", "0", "1.5", "1000"])
    t.throws(() => readConfig({ SIGRUN_WORKERS }), {
      message: "SIGRUN_WORKERS must be a whole number from 1 to 256",
    });
});

test("a database's address, which may hold a password, is not told when it is wrong", (t) => {
  const error = t.throws(() => readConfig({ DATABASE_URL: "mysql://me:secret@host/db" }), {
    instanceOf: ConfigError,
  });
  t.false(error?.message.includes("secret"));
});
