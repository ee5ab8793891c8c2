import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Amounts by the part of a contender. */
export type Parts = Record<string, number>;

/** Gives the part that a process belongs to, by its command line. */
export type PartOf = (command: string) => string;

/** A process of a tree. */
export type Process = { readonly pid: number; readonly command: string; readonly cpuSeconds: number };

/** Processes and all their descendants, each with its CPU time and that of its ended children. */
export function treeOf(roots: readonly number[]): Process[] {
  const children = new Map<number, number[]>();
  const cpu = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!pid) continue;
    // The name before the bracket may contain blanks.
    const stat = read(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields.length < 15) continue;
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
    cpu.set(pid, fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond);
  }
  const tree: Process[] = [];
  for (const left = [...roots]; left.length > 0; ) {
    const pid = left.shift() as number;
    left.push(...(children.get(pid) ?? []));
    const cpuSeconds = cpu.get(pid);
    if (cpuSeconds !== undefined)
      tree.push({ pid, cpuSeconds, command: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim() });
  }
  return tree;
}

/** CPU seconds so far of each part of process trees. */
export const cpuSeconds = (roots: readonly number[], partOf: PartOf): Parts =>
  sum(treeOf(roots), partOf, (process) => process.cpuSeconds);

/** Memory of each part in MiB, as memoryOf counts it. */
export const memoryMiB = (roots: readonly number[], partOf: PartOf): Parts =>
  sum(treeOf(roots), partOf, ({ pid }) => memoryOf(pid));

/**
 * Proportional set size of one process, without mapped files. Shared memory counts once. Libraries
 * do not count: their share would depend on how many contenders of one kind run.
 */
export function memoryOf(pid: number): number {
  const found = read(`/proc/${pid}/smaps_rollup`).matchAll(/^Pss_(?:Anon|Shmem):\s+(\d+)/gm);
  return [...found].reduce((sum, [, kibibytes]) => sum + Number(kibibytes), 0) / 1024;
}

/** Seconds that all cores were busy since the machine started. */
export function busySeconds(): number {
  const [, user, nice, system, , , irq, softirq, steal] = (read("/proc/stat").split("\n", 1)[0] as string)
    .split(/\s+/)
    .map(Number);
  return (
    [user, nice, system, irq, softirq, steal].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) /
    ticksPerSecond
  );
}

/** Sum of all parts. */
export const total = (parts: Parts): number => Object.values(parts).reduce((sum, amount) => sum + amount, 0);

function sum(processes: Process[], partOf: PartOf, amount: (process: Process) => number): Parts {
  const parts: Parts = {};
  for (const process of processes) {
    const part = partOf(process.command);
    parts[part] = (parts[part] ?? 0) + amount(process);
  }
  return parts;
}

/** Text of a file in /proc; empty if the process has ended. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
