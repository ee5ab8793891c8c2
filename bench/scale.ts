// npm run bench:scale measures 1 and 2 gateways on one PostgreSQL, each with 1, 2 and 4 workers,
// and what an execution costs in each part.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../src/store/postgres.ts";
import { createLogger } from "../src/telemetry.ts";
import type { Served } from "./contender.ts";
import { connections, readCounters } from "./counters.ts";
import { root } from "./environments.ts";
import { machine } from "./machine.ts";
import { type Measure, median } from "./measure.ts";
import { memoryMiB, total } from "./processes.ts";
import { type Rig, withRig } from "./rig.ts";
import { measuredText, type Point } from "./scaling.ts";
import { createProgram, type Gateway, runCalls, sigrunPart, startGateway, workersOf } from "./sigrun.ts";

const delayMs = 50;
const callers = 128;
const rounds = 3;
const seconds = 8;

console.log("This takes about 7 minutes.");

async function point(rig: Rig, gateways: number, workers: number): Promise<Point | undefined> {
  const scratch = join(rig.scratch, `${gateways}-${workers}`);
  const postgres = await startEmbeddedPostgres({
    dataDir: join(scratch, "data"),
    log: createLogger("error"),
  });
  const postgresPid = Number(
    readFileSync(join(scratch, "data/postgres/postmaster.pid"), "utf8").split("\n", 1)[0],
  );
  const started: Gateway[] = [];
  try {
    const env = { DATABASE_URL: postgres.url, SIGRUN_WORKERS: String(workers) };
    for (let left = gateways; left > 0; left--)
      started.push(await startGateway(rig.model.url, join(scratch, String(left)), env));
    const first = started[0] as Gateway;
    const reported = await workersOf(first, workers);
    if (reported !== workers) {
      console.log(`${workers} workers are left out: the sidecar reports ${reported}`);
      return undefined;
    }
    const [call] = runCalls(
      started.map(({ target }) => target),
      await createProgram(first, undefined),
    );
    const served: Served = {
      pids: [postgresPid, ...started.map(({ child }) => child.pid)],
      calls: [call],
      partOf: sigrunPart,
      stop: postgres.stop,
    };
    await rig.model.delay(delayMs);
    await rig.load(call, callers, { seconds: 3 });

    const before = await readCounters(postgres.url);
    const measures: Measure[] = [];
    for (let round = 0; round < rounds; round++)
      measures.push(await rig.measure(served, call, callers, { seconds }));
    const held = await connections(postgres.url);
    const after = await readCounters(postgres.url);

    const failure = measures.find(({ failed }) => failed > 0)?.failure;
    if (failure) throw new Error(`executions failed, the first with: ${failure}`);
    const executions = measures.reduce((sum, { ok }) => sum + ok, 0);
    const each = (name: keyof typeof after) => (after[name] - before[name]) / executions;
    const middle = (of: (measure: Measure) => number) => median(measures.map(of));
    const found: Point = {
      gateways,
      workers,
      perSecond: middle(({ perSecond }) => perSecond),
      p50Ms: middle(({ p50Ms }) => p50Ms),
      p99Ms: middle(({ p99Ms }) => p99Ms),
      cpuMs: Object.fromEntries(
        ["gateway", "sidecar", "PostgreSQL"].map((part) => [part, middle(({ cpuMs }) => cpuMs[part] ?? 0)]),
      ),
      othersCores: middle(({ cores }) => cores.others),
      memoryMiB: memoryMiB(served.pids, sigrunPart),
      connections: held / gateways,
      commits: each("commits"),
      inserted: each("inserted"),
      updated: each("updated"),
      walBytes: each("walBytes"),
      walSyncs: each("walSyncs"),
      executionBytes: each("executionBytes"),
      changeBytes: each("changeBytes"),
    };
    console.log(
      `${gateways} x ${workers}: ${found.perSecond.toFixed(0)}/s, ${total(found.cpuMs).toFixed(2)} ms of CPU an execution`,
    );
    return found;
  } finally {
    await Promise.all(started.map(({ child }) => child.stop()));
    await postgres.stop();
  }
}

await withRig(async (rig) => {
  const points: Point[] = [];
  for (const workers of [1, 2, 4])
    for (const gateways of [1, 2]) {
      const found = await point(rig, gateways, workers);
      if (!found) break;
      points.push(found);
    }
  const text = measuredText(points, [
    `${callers} callers, a model that takes ${delayMs} ms, 0 demos`,
    ...machine(),
  ]);
  console.log(`\n${text}`);
  const file = join(root, "bench/SCALING.md");
  const [before, , after] = readFileSync(file, "utf8").split(/<!-- (?:measured|end) -->/) as [
    string,
    string,
    string,
  ];
  writeFileSync(file, `${before}<!-- measured -->\n\n${text}\n<!-- end -->${after}`);
});
