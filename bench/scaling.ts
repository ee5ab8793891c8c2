import { type Parts, total } from "./processes.ts";

/** Result for one number of gateways and workers. */
export type Point = {
  readonly gateways: number;
  /** Workers of each gateway's sidecar. */
  readonly workers: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMs: Parts;
  readonly othersCores: number;
  readonly memoryMiB: Parts;
  /** Connections of each gateway to PostgreSQL. */
  readonly connections: number;
  /** This and the following figures are for each execution. */
  readonly commits: number;
  readonly inserted: number;
  readonly updated: number;
  readonly walBytes: number;
  readonly walSyncs: number;
  readonly executionBytes: number;
  readonly changeBytes: number;
};

const goal = 10_000;
/** Maximum mean load of a process that still absorbs bursts. */
const maxLoad = 0.7;
const daySeconds = 86_400;
/** Retention of the log of changes, in seconds. */
const logSeconds = 900;

const line = (...fields: (string | number)[]) => `| ${fields.join(" | ")} |`;
const rounded = (amount: number) =>
  amount >= 99.5 ? Math.round(amount).toLocaleString("en") : amount.toPrecision(2);

/** The measured part of SCALING.md, with the figures that follow by multiplication. */
export function measuredText(points: readonly Point[], facts: readonly string[]): string {
  const one = points[0];
  if (!one) throw new Error("nothing was measured");
  return [
    ...facts.map((fact) => `- ${fact}`),
    "",
    line(
      "gateways",
      "workers each",
      "executions/s",
      "p50 ms",
      "p99 ms",
      "CPU ms: gateway",
      "sidecar",
      "PostgreSQL",
      "all",
      "MiB of sidecars",
      "MiB of all",
      "cores that others used",
    ),
    `|${"---|".repeat(12)}`,
    ...points.map((point) =>
      line(
        ...[
          point.gateways,
          point.workers,
          rounded(point.perSecond),
          rounded(point.p50Ms),
          rounded(point.p99Ms),
        ],
        ...["gateway", "sidecar", "PostgreSQL"].map((part) => rounded(point.cpuMs[part] as number)),
        ...[
          rounded(total(point.cpuMs)),
          rounded(point.memoryMiB.sidecar as number),
          rounded(total(point.memoryMiB)),
          rounded(point.othersCores),
        ],
      ),
    ),
    "",
    `An execution, at one gateway and one worker and ${rounded(one.perSecond)} executions/s:`,
    "",
    line("what", "an execution", `at ${goal.toLocaleString("en")}/s`),
    "|---|---|---|",
    ...costs(one),
    "",
  ].join("\n");
}

/** Cost of one execution, and of 10,000 a second if only the number changes. */
function costs(one: Point): string[] {
  const cores = (part: string) => ((one.cpuMs[part] as number) * goal) / 1000;
  const gateways = Math.ceil(cores("gateway") / maxLoad);
  const workers = Math.ceil(cores("sidecar") / maxLoad);
  const perSecond = (amount: number) => rounded(amount * goal);
  const gigabytes = (bytes: number) => rounded((bytes * goal) / 1e9);
  return [
    ...["gateway", "sidecar", "PostgreSQL"].map((part) =>
      line(
        `CPU of ${part}`,
        `${rounded(one.cpuMs[part] as number)} ms`,
        `${rounded(cores(part))} cores busy`,
      ),
    ),
    line(
      `processes that are ${maxLoad * 100} % busy`,
      "",
      `${gateways} gateways, ${workers} sidecar workers`,
    ),
    line(
      "connections to PostgreSQL",
      "",
      `${gateways} gateways with ${rounded(one.connections)} each: ${rounded(gateways * one.connections)}`,
    ),
    line("rows inserted (execution, log of changes)", rounded(one.inserted), `${perSecond(one.inserted)}/s`),
    line("rows updated", rounded(one.updated), `${perSecond(one.updated)}/s`),
    line(
      "commits",
      rounded(one.commits),
      `${perSecond(one.commits)}/s; fewer, since fuller batches share one`,
    ),
    line(
      "WAL forced to disk",
      `${rounded(one.walSyncs)} times`,
      `${perSecond(one.walSyncs)}/s; fewer, likewise`,
    ),
    line("WAL written", `${rounded(one.walBytes)} bytes`, `${rounded((one.walBytes * goal) / 1e6)} MB/s`),
    line(
      "table and indexes of executions",
      `${rounded(one.executionBytes)} bytes`,
      `${gigabytes(one.executionBytes * daySeconds)} GB a day`,
    ),
    line(
      "log of changes, kept for 15 minutes",
      `${rounded(one.changeBytes)} bytes`,
      `${gigabytes(one.changeBytes * logSeconds)} GB in all`,
    ),
  ];
}
