import { type Measure, median } from "./measure.ts";
import type { Cell } from "./plan.ts";
import { type Parts, total } from "./processes.ts";

/** All rounds of one call of one contender in one cell. */
export type Row = {
  readonly cell: Cell;
  readonly label: string;
  readonly family: string;
  readonly rounds: Measure[];
};

/** Start and memory of a contender; the quickest of several starts. */
export type Cost = { readonly name: string; readonly family: string; startSeconds: number; memoryMiB: Parts };

const middle = ({ rounds }: Row, of: (measure: Measure) => number) => median(rounds.map(of));
const rate = (row: Row) => middle(row, ({ perSecond }) => perSecond);
const cpu = (row: Row) => middle(row, ({ cpuMs }) => total(cpuMs));
const p50 = (row: Row) => middle(row, ({ p50Ms }) => p50Ms);
const p99 = (row: Row) => middle(row, ({ p99Ms }) => p99Ms);
const failed = ({ rounds }: Row) => rounds.reduce((sum, measure) => sum + measure.failed, 0);

/** FastAPI's best amount, over rows without a failure. */
function best(
  rows: readonly Row[],
  of: (row: Row) => number,
  choose: (...amounts: number[]) => number,
): number | undefined {
  const sound = rows.filter((row) => row.family === "fastapi" && failed(row) === 0);
  return sound.length > 0 ? choose(...sound.map(of)) : undefined;
}

const digits = (amount: number) =>
  amount >= 100 ? amount.toFixed(0) : amount >= 10 ? amount.toFixed(1) : amount.toFixed(2);
const compared = (amount: number, to: number | undefined) =>
  `${digits(amount)}${to === undefined ? "" : ` (${(amount / to).toFixed(2)}x)`}`;
const line = (...fields: string[]) => `| ${fields.join(" | ")} |`;
const parts = (of: Parts) =>
  Object.keys(of).length < 2
    ? ""
    : Object.entries(of)
        .map(([part, amount]) => `${part} ${digits(amount)}`)
        .join(", ");

/** Table of one cell: every contender, with ratios to FastAPI's best in brackets. */
export function cellTable(cell: Cell, rows: readonly Row[]): string[] {
  const here = rows.filter((row) => row.cell === cell);
  const bestRate = best(here, rate, Math.max);
  const [bestP50, bestP99, bestCpu] = [p50, p99, cpu].map((of) => best(here, of, Math.min));
  const alone = here.find(({ family }) => family === "model");
  const lines = here.map((row) => {
    if (failed(row) > 0) {
      const first = row.rounds
        .find(({ failure }) => failure)
        ?.failure.replaceAll(/[|\n]/g, " ")
        .slice(0, 120);
      return line(row.label, `${failed(row)} failed`, "", "", "", "", `${first}`);
    }
    const { cpuMs, modelCalls } = row.rounds[0] as Measure;
    const averaged = Object.fromEntries(
      Object.keys(cpuMs).map((part) => [part, middle(row, (measure) => measure.cpuMs[part] ?? 0)]),
    );
    const retries = modelCalls > 1.01 ? `${modelCalls.toFixed(2)} model calls an execution` : "";
    const added = alone && row !== alone ? digits(p50(row) - p50(alone)) : "";
    const amounts = [
      compared(rate(row), bestRate),
      compared(p50(row), bestP50),
      compared(p99(row), bestP99),
      added,
    ];
    return line(
      row.label,
      ...amounts,
      compared(cpu(row), bestCpu),
      [parts(averaged), retries].filter(Boolean).join("; "),
    );
  });
  const all = here.flatMap(({ rounds }) => rounds);
  const others = median(all.map(({ cores }) => cores.others));
  return [
    `### ${cell.demos} demos, a model that takes ${cell.delayMs} ms, ${cell.callers} ${cell.callers === 1 ? "caller" : "callers"}`,
    "",
    line("", "executions/s", "p50 ms", "p99 ms", "p50 over the model's", "CPU ms an execution", "of which"),
    "|---|---|---|---|---|---|---|",
    ...lines,
    "",
    `The load generator used at most ${digits(Math.max(...all.map(({ cores }) => cores.generator)))} cores and the model ` +
      `${digits(Math.max(...all.map(({ cores }) => cores.model)))}; processes that are none of the bench's used ${digits(others)} (median).`,
    "",
  ];
}

/** Cores that processes outside the bench kept busy; the median of all rounds. */
export const foreignCores = (rows: readonly Row[]) =>
  median(rows.flatMap(({ rounds }) => rounds.map(({ cores }) => cores.others)));

/** Table of starts and memory, with ratios to FastAPI's best. */
export function costTable(costs: readonly Cost[]): string[] {
  const fastapi = costs.filter(({ family }) => family === "fastapi");
  const min = (of: (cost: Cost) => number) => (fastapi.length > 0 ? Math.min(...fastapi.map(of)) : undefined);
  const memory = ({ memoryMiB }: Cost) => total(memoryMiB);
  const [start, used] = [min(({ startSeconds }) => startSeconds), min(memory)];
  return [
    line("", "s to the first answer", "MiB after the load", "of which"),
    "|---|---|---|---|",
    ...costs.map((cost) =>
      line(
        cost.name,
        compared(cost.startSeconds, start),
        compared(memory(cost), used),
        parts(cost.memoryMiB),
      ),
    ),
  ];
}

/** Table of the goals with their measured figures, if the run has the cells for them. */
export function goals(rows: readonly Row[]): string[] {
  const at = (demos: number, delayMs: number, callers: number) =>
    rows.filter(
      ({ cell, label }) =>
        cell.demos === demos && cell.delayMs === delayMs && cell.callers === callers && label !== "",
    );
  const ours = (here: Row[]) => here.find((row) => row.label === "sigrun, gRPC" && failed(row) === 0);
  const goal = (
    what: string,
    measured: number | undefined,
    isMet: (amount: number) => boolean,
    unit = "x",
  ) =>
    measured === undefined
      ? []
      : [line(what, `${digits(measured)}${unit}`, isMet(measured) ? "met" : "not met")];
  const against = (here: Row[], of: (row: Row) => number, choose: typeof Math.max, less = 0) => {
    const [own, other] = [ours(here), best(here, of, choose)];
    return own && other ? (of(own) - less) / (other - less) : undefined;
  };
  const [plain, demos, one, fast, many] = [
    at(0, 50, 64),
    at(16, 50, 64),
    at(0, 50, 1),
    at(0, 0, 64),
    at(0, 0, 256),
  ];
  const alone = one.find(({ family }) => family === "model");
  const [of64, of256] = [ours(fast), ours(many)];
  return [
    line("goal", "measured", ""),
    "|---|---|---|",
    ...goal(
      "50 ms, 64 callers, 0 demos: at least 3x FastAPI's best executions/s",
      against(plain, rate, Math.max),
      (x) => x >= 3,
    ),
    ...goal("the same: at most half its CPU an execution", against(plain, cpu, Math.min), (x) => x <= 0.5),
    ...goal(
      "50 ms, 64 callers, 16 demos: at least 5x FastAPI's best executions/s",
      against(demos, rate, Math.max),
      (x) => x >= 5,
    ),
    ...goal(
      "50 ms, 1 caller: less added to the model's time than FastAPI adds",
      alone && against(one, p50, Math.min, p50(alone)),
      (x) => x < 1,
    ),
    ...goal(
      "0 ms, 64 callers: at least 300 recorded executions/s",
      of64 && rate(of64),
      (x) => x >= 300,
      "/s",
    ),
    ...goal("0 ms: 256 callers no slower than 64", of64 && of256 && rate(of256) / rate(of64), (x) => x >= 1),
  ];
}
