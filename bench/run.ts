// npm run bench measures sigrun and other servers of the same program, in interleaved rounds.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Served } from "./contender.ts";
import { root } from "./environments.ts";
import { floor } from "./floor.ts";
import type { Call } from "./load.ts";
import { machine } from "./machine.ts";
import { peers, writeState } from "./peers.ts";
import { type Cell, readPlan } from "./plan.ts";
import { memoryMiB, total } from "./processes.ts";
import { type Cost, cellTable, costTable, foreignCores, goals, type Row } from "./results.ts";
import { type Rig, withRig } from "./rig.ts";
import { sigrun } from "./sigrun.ts";

const args = process.argv.slice(2);
const { plan, isChosen } = readPlan(args);
console.log(
  `This takes about ${plan.minutes} minutes, and longer the first time, when it installs the other servers.`,
);

type Started = { served: Served; family: string; cost?: Cost; ok: number };
const rows: Row[] = [];
const costs: Cost[] = [];
const records: string[] = [];

/** Starts all contenders, one after the other, so that no start slows another. */
async function startAll(
  { scratch, model, floor: program }: Rig,
  demos: number,
  into: Started[],
): Promise<void> {
  const state = demos > 0 ? join(scratch, `state-${demos}.json`) : undefined;
  if (state) writeState(demos, state);
  await model.delay(0);
  const alone = { pids: [model.pid], calls: [model.call], partOf: () => "model", stop: async () => {} };
  into.push({ served: alone, family: "model", ok: 0 });
  for (const contender of [floor(program), ...peers, sigrun]) {
    if (!isChosen(contender.family)) continue;
    if (contender.family !== "sigrun" && !plan.isWanted(contender.name)) continue;
    const own = join(scratch, `${contender.name} ${demos}`.replaceAll(/\W+/g, "-"));
    mkdirSync(own);
    const setting = { model: model.url, state, scratch: own };
    contender.prepare?.(setting);
    const began = performance.now();
    const served = await contender.start(setting);
    const cost = {
      name: contender.name,
      family: contender.family,
      startSeconds: (performance.now() - began) / 1000,
      memoryMiB: {},
    };
    console.log(`${contender.name} gave its first answer after ${cost.startSeconds.toFixed(1)} s`);
    into.push({ served, family: contender.family, cost, ok: 1 });
  }
}

/** Warms up a contender before it is measured. */
async function warmUp({ load }: Rig, one: Started): Promise<void> {
  for (const call of one.served.calls)
    if (plan.isWanted(call.label)) one.ok += (await load(call, 64, { seconds: plan.firstSeconds })).ok;
}

async function measureCell(rig: Rig, cell: Cell, started: Started[]): Promise<void> {
  await rig.model.delay(cell.delayMs);
  const turns = started.flatMap((one) =>
    one.served.calls
      .filter(({ label }) => plan.isWanted(label))
      .map((call) => createTurn(rig, cell, one, call)),
  );
  for (const { warmUp } of turns) await warmUp();
  for (let round = 1; round <= plan.rounds; round++)
    for (const { measureOnce } of turns) await measureOnce(round);
  console.log(`\n${cellTable(cell, rows).join("\n")}`);
}

function createTurn({ load, measure }: Rig, cell: Cell, one: Started, call: Call) {
  const row: Row = { cell, label: call.label, family: one.family, rounds: [] };
  rows.push(row);
  return {
    async warmUp() {
      one.ok += (await load(call, cell.callers, { seconds: plan.warmUpSeconds })).ok;
    },
    async measureOnce(round: number) {
      const measured = await measure(one.served, call, cell.callers, { seconds: plan.seconds });
      one.ok += measured.ok;
      row.rounds.push(measured);
      const { perSecond, p50Ms, cpuMs, failed } = measured;
      const figures = `${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(1)} ms, ${total(cpuMs).toFixed(2)} ms of CPU, ${failed} failed`;
      console.log(
        `${cell.demos} demos, ${cell.delayMs} ms, c=${cell.callers}, round ${round}: ${call.label.padEnd(28)} ${figures}`,
      );
    },
  };
}

/** Reads memory and records of a contender after the load. */
async function readCosts({ served, cost, ok }: Started, demos: number): Promise<void> {
  if (cost) cost.memoryMiB = memoryMiB(served.pids, served.partOf);
  const before = costs.find(({ name }) => name === cost?.name);
  if (before && cost) before.startSeconds = Math.min(before.startSeconds, cost.startSeconds);
  else if (cost) costs.push(cost);
  const recorded = await served.recorded?.();
  if (recorded !== undefined)
    records.push(
      `With ${demos} demos sigrun answered ${ok} executions; ${recorded} stand on record as completed.`,
    );
}

await withRig(async (rig) => {
  for (const demos of new Set(plan.cells.map((cell) => cell.demos))) {
    const started: Started[] = [];
    try {
      await startAll(rig, demos, started);
      for (const one of started) await warmUp(rig, one);
      for (const cell of plan.cells.filter((one) => one.demos === demos))
        await measureCell(rig, cell, started);
      for (const one of started) await readCosts(one, demos);
    } finally {
      await Promise.all(started.map(({ served }) => served.stop()));
    }
  }
  const command = ["npm run bench", ...(args.length > 0 ? ["--", ...args] : [])].join(" ");
  const today = new Date().toISOString().slice(0, 10);
  const results = [
    "# Results",
    "",
    `Made by \`${command}\` on ${today}; see [CONTRIBUTING.md](../CONTRIBUTING.md#benchmarks) for how.`,
    "Brackets hold the ratio to FastAPI's best in the same column.",
    "CPU is that of all processes of a contender.",
    `Each figure is the median of ${plan.rounds} interleaved rounds of ${plan.seconds} s.`,
    "No two executions ask the same; nothing is cached.",
    "",
    ...machine().map((fact) => `- ${fact}`),
    `- processes that are none of the bench's kept ${foreignCores(rows).toFixed(2)} cores busy (median); what they take is missing in the rates`,
    "",
    "## Goals",
    "",
    ...goals(rows),
    "",
    ...records.map((record) => `- ${record}`),
    "",
    "## By cell",
    "",
    ...plan.cells.flatMap((cell) => cellTable(cell, rows)),
    "## Start and memory",
    "",
    "The first answer is an execution's, and of several starts the quickest counts.",
    "sigrun's starts include the creation of the database.",
    "Memory is the proportional set size of all processes, without the files that they map.",
    "",
    ...costTable(costs),
    "",
  ].join("\n");
  console.log(results);
  // A partial run would leave out parts of the file.
  if (args.length === 0) writeFileSync(join(root, "bench/RESULTS.md"), results);
});
