import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Amounts by the name of the part of a contender that they belong to. */
export type Parts = Record<string, number>;

/** Names the part that a process belongs to, from its command line. */
export type PartOf = (command: string) => string;

/** One process below another, or that one itself. */
export type Process = { readonly pid: number; readonly command: string; readonly cpuSeconds: number };

/** Some processes and all below them, with the CPU time of each and of those that it has seen end. */
export function treeOf(roots: readonly number[]): Process[] {
  const children = new Map<number, number[]>();
  const cpu = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!pid) continue;
    // What stands before the bracket may have blanks in it.
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

/** CPU seconds so far of each part of some process trees. */
export const cpuSeconds = (roots: readonly number[], partOf: PartOf): Parts =>
  sum(treeOf(roots), partOf, (process) => process.cpuSeconds);

/** Memory of each part in MiB, as memoryOf counts it. */
export const memoryMiB = (roots: readonly number[], partOf: PartOf): Parts =>
  sum(treeOf(roots), partOf, ({ pid }) => memoryOf(pid));

/**
 * Proportional set size of one process without the files that it maps: what processes share counts once, and libraries do not
 * count, which are the cheaper the more contenders of one kind happen to run.
 */
export function memoryOf(pid: number): number {
  const found = read(`/proc/${pid}/smaps_rollup`).matchAll(/^Pss_(?:Anon|Shmem):\s+(\d+)/gm);
  return [...found].reduce((sum, [, kibibytes]) => sum + Number(kibibytes), 0) / 1024;
}

/** Seconds that the machine's cores have been busy, for whomever, since it started. */
export function busySeconds(): number {
  const [, user, nice, system, , , irq, softirq, steal] = (read("/proc/stat").split("\n", 1)[0] as string)
    .split(/\s+/)
    .map(Number);
  return (
    [user, nice, system, irq, softirq, steal].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) /
    ticksPerSecond
  );
}

/** All parts together. */
export const total = (parts: Parts): number => Object.values(parts).reduce((sum, amount) => sum + amount, 0);

function sum(processes: Process[], partOf: PartOf, amount: (process: Process) => number): Parts {
  const parts: Parts = {};
  for (const process of processes) {
    const part = partOf(process.command);
    parts[part] = (parts[part] ?? 0) + amount(process);
  }
  return parts;
}

/** Empty where the process has gone meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
