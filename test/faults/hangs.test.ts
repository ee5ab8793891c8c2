import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { type Gateway, startScripted } from "../_gateway.ts";
import { until } from "../_wait.ts";

const signature = { text: "question -> answer" };
const inputs = { question: "?" };
const paris = { fields: { answer: "Paris" } };
const onLinux = process.platform === "linux" ? test : test.skip;

async function create({ programs }: Gateway): Promise<string> {
  const { program } = await programs.createProgram({ program: { name: "Capital", signature } });
  return program?.id ?? "";
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
const isSidecar = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("dspy_sidecar");

/** The sidecar's parent process and its workers. */
function sidecarOf(gateway: Gateway): { parent: number; workers: number[] } {
  const parent = childrenOf(gateway.process.pid ?? 0).find(isSidecar);
  return parent === undefined ? { parent: 0, workers: [] } : { parent, workers: childrenOf(parent) };
}

/** Stops processes without their knowledge, until the end of the test. */
function pause(t: { teardown(end: () => void): void }, ...pids: number[]): void {
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  t.teardown(() => resume(...pids));
}

function resume(...pids: number[]): void {
  for (const pid of pids)
    try {
      process.kill(pid, "SIGCONT");
    } catch {
      // It was killed.
    }
}

onLinux(
  "workers and a sidecar that hang are replaced, and the run that waited for them is answered",
  async (t) => {
    t.timeout(120_000);
    const { gateway, model } = await startScripted(t, { SIGRUN_WORKERS: "2" });
    await until(() => sidecarOf(gateway).workers.length === 2);
    model.script(paris);
    const programId = await create(gateway);
    const run = () => gateway.programs.executeProgram({ programId, inputs }, { timeoutMs: 60_000 });

    const { parent, workers } = sidecarOf(gateway);
    pause(t, ...workers);
    t.deepEqual((await run()).outputs, { answer: "Paris" });
    t.deepEqual(
      sidecarOf(gateway).workers.filter((pid) => workers.includes(pid)),
      [],
    );
    t.is(sidecarOf(gateway).parent, parent);

    pause(t, parent, ...sidecarOf(gateway).workers);
    t.deepEqual((await run()).outputs, { answer: "Paris" });
    t.not(sidecarOf(gateway).parent, parent);
    t.regex(gateway.log(), /sidecar hangs and is killed/);
  },
);

onLinux(
  "a gateway that was stopped kills nobody, and a sidecar that answers again serves again",
  async (t) => {
    t.timeout(120_000);
    const { gateway, model } = await startScripted(t, { SIGRUN_WORKERS: "2" });
    await until(() => sidecarOf(gateway).workers.length === 2);
    model.script(paris);
    const programId = await create(gateway);
    const before = sidecarOf(gateway);
    pause(t, gateway.process.pid ?? 0, before.parent, ...before.workers);
    await sleep(12_000);
    resume(gateway.process.pid ?? 0);
    // The gateway runs for a while before the sidecar does.
    await sleep(5_000);
    resume(before.parent, ...before.workers);
    t.deepEqual((await gateway.programs.executeProgram({ programId, inputs })).outputs, { answer: "Paris" });
    t.deepEqual(sidecarOf(gateway), before);
  },
);
