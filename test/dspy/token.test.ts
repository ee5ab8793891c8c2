import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import test from "ava";
import { createWorkers } from "../../src/dspy/workers.ts";
import type { Logger } from "../../src/telemetry.ts";
import { startModel } from "../_model.ts";
import { until } from "../_wait.ts";

const sidecarDir = fileURLToPath(new URL("../../sidecar", import.meta.url));

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

test("a gateway sends its token, and a wrong one is told in the log", async (t) => {
  const model = await startModel();
  t.teardown(model.close);
  const target = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    `${sidecarDir}/.venv/bin/python`,
    ["-m", "dspy_sidecar", "--listen", target, "--exit-with-stdin"],
    {
      cwd: sidecarDir,
      env: {
        ...process.env,
        SIGRUN_LM: "openai/scripted",
        SIGRUN_LM_API_BASE: model.url,
        OPENAI_API_KEY: "test",
        SIGRUN_WORKERS: "1",
        SIGRUN_SIDECAR_TOKEN: "right",
      },
      stdio: ["pipe", "ignore", "ignore"],
    },
  );
  const ended = new Promise((resolve) => child.once("exit", resolve));
  t.teardown(async () => {
    child.stdin.end();
    await ended;
  });

  const told: string[] = [];
  const keep = (_: unknown, text: string) => void told.push(text);
  const log = { debug() {}, info() {}, warn() {}, error: keep } as unknown as Logger;
  const connect = (token?: string) => {
    const workers = createWorkers({ targets: [target], token, log, onChange: () => {} });
    t.teardown(workers.close);
    return workers;
  };
  const right = connect("right");
  await until(() => right.info() !== undefined);
  t.deepEqual(told, []);
  for (const token of ["wrong", undefined]) {
    told.length = 0;
    const refused = connect(token);
    await until(() => told.length > 0);
    t.regex(told[0] ?? "", /refuses this gateway's token.*SIGRUN_SIDECAR_TOKEN/);
    t.is(refused.info(), undefined);
    refused.close();
    t.is(told.length, 1);
  }
});
