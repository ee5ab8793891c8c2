import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { processesWith } from "../_processes.ts";
import { until } from "../_wait.ts";

const minStepMs = 250;
/** If a start takes longer than 24 steps, the steps are longer. */
const maxSteps = 24;
const atATime = 2;
/** PostgreSQL, and a worker that drains, may take seconds to end. */
const maxEndMs = 30_000;
const script = fileURLToPath(new URL("../../scripts/start.js", import.meta.url));
const onLinux = process.platform === "linux" ? test : test.skip;

type Started = { pid: number; token: string };
/** Stops or kills a start. If isClean, no temporary files are left either. */
type StopMethod = { name: string; isClean: boolean; stop(started: Started): Promise<void> | void };

const ctrlC: StopMethod = {
  name: "Ctrl-C",
  isClean: true,
  stop: ({ pid }) => void process.kill(-pid, "SIGINT"),
};
const terminate: StopMethod = {
  name: "SIGTERM to start.js",
  isClean: true,
  stop: ({ pid }) => void process.kill(pid, "SIGTERM"),
};
const killStart: StopMethod = {
  name: "SIGKILL to start.js",
  isClean: false,
  stop: ({ pid }) => void process.kill(pid, "SIGKILL"),
};
const methods = [
  ctrlC,
  terminate,
  killStart,
  { name: "SIGKILL to the gateway", isClean: false, stop: killGateway },
];

async function killGateway({ token }: Started): Promise<void> {
  const [pid] = await until(() =>
    [...processesWith(token)].find(([, command]) => /\bnode \S*src\/main\.ts$/.test(command)),
  );
  process.kill(pid, "SIGKILL");
}

/**
 * Starts a gateway without settings, stops it after a time or when it is ready, and waits until
 * none of its processes is left. Returns how long it ran.
 */
async function stopAfter(t: ExecutionContext, afterMs: number, method: StopMethod): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "sigrun-test-"));
  const token = basename(folder);
  const temporary = join(folder, "tmp");
  mkdirSync(temporary);
  const began = performance.now();
  const child = spawn(process.execPath, [script], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      TMPDIR: temporary,
      SIGRUN_DATA_DIR: join(folder, "data"),
      SIGRUN_PORT: "0",
    },
    // A process group, as a terminal makes one.
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on(
      "line",
      (line) => line.startsWith("sigrun is ready") && resolve(),
    );
  });
  try {
    await (Number.isFinite(afterMs) ? Promise.race([ready, sleep(afterMs)]) : ready);
    const ranMs = performance.now() - began;
    await method.stop({ pid: child.pid ?? 0, token });
    const deadline = Date.now() + maxEndMs;
    const left = await until(() => {
      const processes = processesWith(token);
      return (processes.size === 0 || Date.now() > deadline) && processes;
    });
    const stopped = `${method.name} after ${Math.round(ranMs)} ms`;
    t.deepEqual([...left.values()], [], stopped);
    await exited;
    if (method.isClean) t.deepEqual(readdirSync(temporary), [], stopped);
    return ranMs;
  } finally {
    for (const pid of processesWith(token).keys()) process.kill(pid, "SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

onLinux("a start that is stopped or killed at any time leaves no process", async (t) => {
  t.timeout(240_000);
  const readyTimes = await Promise.all(
    [ctrlC, terminate].map((method) => stopAfter(t, Number.POSITIVE_INFINITY, method)),
  );
  const readyMs = Math.max(...readyTimes);
  const stepMs = Math.max(minStepMs, readyMs / maxSteps);
  const times = Array.from({ length: Math.ceil(readyMs / stepMs) }, (_, step) => Math.round(step * stepMs));
  t.log(
    `ready after ${Math.round(readyMs)} ms; stopping ${times.length} starts, each ${Math.round(stepMs)} ms later`,
  );
  const pending = times.entries();
  const stopSome = async () => {
    for (const [number, afterMs] of pending)
      await stopAfter(t, afterMs, methods[number % methods.length] as StopMethod);
  };
  await Promise.all(Array.from({ length: atATime }, stopSome));
});
