import { spawn } from "node:child_process";
import { once } from "node:events";
import test from "ava";
import type { Measure } from "../bench/measure.ts";
import { treeOf } from "../bench/processes.ts";
import { cellTable, goals, type Row } from "../bench/results.ts";
import { until } from "./_wait.ts";

const cell = { demos: 0, delayMs: 50, callers: 64 };

function row(label: string, family: string, perSecond: number, measured: Partial<Measure> = {}): Row {
  const cores = { generator: 0.1, model: 0.1, others: 0 };
  const sound = {
    ok: 100,
    failed: 0,
    failure: "",
    perSecond,
    p50Ms: 60,
    p99Ms: 90,
    cpuMs: { server: 4 },
    modelCalls: 1,
    cores,
  };
  return { cell, label, family, rounds: [{ ...sound, ...measured }] };
}

test("a contender whose calls fail gets no ratio, and is never the best", (t) => {
  const rows = [
    row("FastAPI asyncify, 1 worker", "fastapi", 900, { failed: 2, failure: "HTTP 500" }),
    row("FastAPI acall, 1 worker", "fastapi", 100),
    row("sigrun, gRPC", "sigrun", 300),
  ];
  const table = cellTable(cell, rows).join("\n");
  t.regex(table, /FastAPI asyncify, 1 worker \| 2 failed \|.*HTTP 500/);
  t.notRegex(table, /900/);
  t.regex(table, /sigrun, gRPC \| 300 \(3\.00x\)/);
});

test("goals compare with FastAPI's best, and are left out if sigrun's own calls failed", (t) => {
  const peers = [
    row("FastAPI acall, 1 worker", "fastapi", 100),
    row("FastAPI acall, 2 workers", "fastapi", 150),
  ];
  t.true(
    goals([...peers, row("sigrun, gRPC", "sigrun", 300)]).some((line) =>
      /at least 3x .*\| 2\.00x \| not met/.test(line),
    ),
  );
  t.true(
    goals([...peers, row("sigrun, gRPC", "sigrun", 450)]).some((line) =>
      /at least 3x .*\| 3\.00x \| met/.test(line),
    ),
  );
  t.false(
    goals([...peers, row("sigrun, gRPC", "sigrun", 450, { failed: 1 })]).some((line) =>
      line.includes("at least 3x"),
    ),
  );
});

// The bench runs on Linux alone, because it reads /proc.
if (process.platform === "linux")
  test("counts the CPU of an ended process with its parent", async (t) => {
    const shell = spawn("sh", [
      "-c",
      "(i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done); echo done; read end",
    ]);
    t.teardown(() => shell.kill());
    const used = () => treeOf([shell.pid as number]).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
    await once(shell.stdout, "data");
    await until(() => treeOf([shell.pid as number]).length === 1);
    t.true(used() > 0.05);
  });
