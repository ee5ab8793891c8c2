// npm run bench:memory [-- 20000] measures the memory of the gateway and of each sidecar process
// over 100,000 executions.
import { join } from "node:path";
import { memoryOf, treeOf } from "./processes.ts";
import { withRig } from "./rig.ts";
import { createProgram, runCalls, sigrunPart, startGateway } from "./sigrun.ts";

const executions = Number(process.argv[2] ?? 100_000);
const steps = 20;
/** A fifth of the steps: caches fill, and V8's heap reaches its size. */
const warmUpSteps = 4;
const callers = 64;
const maxPer10k = 1;

const each = Math.round(executions / steps);
console.log(
  `${executions} executions, ${callers} at a time, at about 100 to 500 a second; memory is read every ${each}.`,
);

await withRig(async ({ scratch, model, load }) => {
  const gateway = await startGateway(model.url, join(scratch, "sigrun"));
  try {
    const [call] = runCalls([gateway.target], await createProgram(gateway, undefined));
    const samples = new Map<string, number[]>();
    let done = 0;
    for (let step = 1; step <= steps; step++) {
      const { ok, failed, failure, seconds } = await load(call, callers, { count: each });
      if (failed > 0) throw new Error(`${failed} executions failed, the first with: ${failure}`);
      done += ok;
      const amounts: string[] = [];
      for (const { pid, command } of treeOf([gateway.child.pid])) {
        if (sigrunPart(command) === "PostgreSQL") continue;
        const name = `${sigrunPart(command)} ${pid}`;
        samples.set(name, [...(samples.get(name) ?? []), memoryOf(pid)]);
        amounts.push(`${name}: ${memoryOf(pid).toFixed(1)}`);
      }
      console.log(
        `${String(done).padStart(7)} executions, ${(ok / seconds).toFixed(0)}/s; MiB of ${amounts.join(", ")}`,
      );
    }
    console.log(
      `\nMiB more per 10,000 executions after the first ${warmUpSteps * each}; at most ${maxPer10k} is the goal:`,
    );
    for (const [name, amounts] of samples) {
      const per10k = (slope(amounts.slice(warmUpSteps)) / each) * 10_000;
      console.log(
        `${name.padEnd(20)}${per10k.toFixed(2).padStart(8)}  ${per10k <= maxPer10k ? "met" : "not met"}`,
      );
    }
  } finally {
    await gateway.child.stop();
  }
});

/** Slope of the least-squares line through amounts that are one step apart. */
function slope(amounts: readonly number[]): number {
  const middle = (amounts.length - 1) / 2;
  const average = amounts.reduce((sum, amount) => sum + amount, 0) / amounts.length;
  const over = amounts.reduce((sum, amount, step) => sum + (step - middle) * (amount - average), 0);
  return over / amounts.reduce((sum, _, step) => sum + (step - middle) ** 2, 0);
}
