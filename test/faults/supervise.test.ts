import { spawn } from "node:child_process";
import { PassThrough } from "node:stream";
import test from "ava";
import pino from "pino";
import { supervise } from "../../src/supervise.ts";
import { until } from "../_wait.ts";

/** Sends two heartbeats, then hangs in a function of its own. */
const hanging = `
import faulthandler, os, signal, time
faulthandler.register(signal.SIGUSR1)
def hang_for_ever():
    while True: pass
for _ in range(2):
    os.write(3, b".")
    time.sleep(0.1)
hang_for_ever()
`;

test("a child that hangs is killed and started again, with its stack in the log", async (t) => {
  let log = "";
  const stream = new PassThrough().on("data", (text) => (log += text));
  const pids: (number | undefined)[] = [];
  const supervised = supervise({
    name: "thing",
    log: pino(stream),
    heartbeats: 3,
    start() {
      const child = spawn("python3", ["-c", hanging], { stdio: ["ignore", "ignore", "pipe", "pipe"] });
      pids.push(child.pid);
      return child;
    },
  });
  t.teardown(() => supervised.stop("SIGKILL", 0));
  await until(() => pids.length === 2);
  const line = log.split("\n").find((text) => text.includes("thing hangs and is killed")) ?? "{}";
  t.regex((JSON.parse(line) as { stack: string }).stack, /hang_for_ever/);
});
