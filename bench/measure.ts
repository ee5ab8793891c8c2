import type { Served } from "./contender.ts";
import type { Call, createLoad, Extent } from "./load.ts";
import type { Model } from "./model.ts";
import { busySeconds, cpuSeconds, type Parts, total } from "./processes.ts";

/** Result of one round of load on one contender. */
export type Measure = {
  readonly ok: number;
  readonly failed: number;
  readonly failure: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU milliseconds an execution, by the part of the contender. */
  readonly cpuMs: Parts;
  /** Requests to the model an execution; above one if some were retried. */
  readonly modelCalls: number;
  /** Busy cores: of the load generator, of the model, and of processes outside the bench. */
  readonly cores: { readonly generator: number; readonly model: number; readonly others: number };
};

/** Loads a contender; compares the CPU times of all its processes before and after. */
export function createMeasure({ load, model }: { load: ReturnType<typeof createLoad>; model: Model }) {
  const readCpu = async ({ pids, partOf }: Served) => ({
    contender: cpuSeconds(pids, partOf),
    model: await model.used(),
    busy: busySeconds(),
    bench: process.cpuUsage(),
    at: performance.now(),
  });

  return async function measure(
    served: Served,
    call: Call,
    callers: number,
    extent: Extent,
  ): Promise<Measure> {
    const before = await readCpu(served);
    const {
      ok,
      failed,
      failure,
      seconds,
      p50Ms,
      p99Ms,
      cpuSeconds: generator,
    } = await load(call, callers, extent);
    const after = await readCpu(served);

    const elapsed = (after.at - before.at) / 1000;
    const cpu = Object.fromEntries(
      Object.entries(after.contender).map(([part, amount]) => [part, amount - (before.contender[part] ?? 0)]),
    );
    const modelCpu = after.model.cpuSeconds - before.model.cpuSeconds;
    const bench = (after.bench.user + after.bench.system - before.bench.user - before.bench.system) / 1e6;
    const contender = served.pids.includes(model.pid) ? 0 : total(cpu);
    const others = after.busy - before.busy - contender - modelCpu - generator - bench;
    return {
      ok,
      failed,
      failure,
      perSecond: ok / seconds,
      p50Ms,
      p99Ms,
      cpuMs: Object.fromEntries(
        Object.entries(cpu).map(([part, amount]) => [part, (amount * 1000) / Math.max(1, ok)]),
      ),
      modelCalls: (after.model.calls - before.model.calls) / Math.max(1, ok),
      cores: {
        generator: generator / elapsed,
        model: modelCpu / elapsed,
        others: Math.max(0, others) / elapsed,
      },
    };
  };
}

/** The median. */
export function median(amounts: readonly number[]): number {
  const sorted = amounts.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(at)] as number) + (sorted[Math.ceil(at)] as number)) / 2;
}
